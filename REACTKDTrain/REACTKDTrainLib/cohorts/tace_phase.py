"""The contrast phase of a CT, measured in the aorta and the portal vein; HCC-TACE-Seg's headers do not state it.

Arterial: the aorta is more than 80 HU brighter than the portal vein. Pre-contrast: both are below 80 HU. Else portal
venous (or later). Rule of the 80 HU difference: public readers of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from REACTKDLib.core.files.dicom.geometry import stack_slices
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.series import plane_of
from REACTKDLib.core.files.segmentations import Segmentation
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDTrainLib.cohorts.tace_case import segments_named

Phase = Literal["pre-contrast", "arterial", "portal-venous", "unknown"]
ARTERIAL_LEAD_HU = 80.0
CONTRAST_HU = 80.0
PLANES = 3  # slices that are read to measure a vessel
FEWEST_VOXELS = 10


@dataclass(frozen=True)
class Measured:
    """aorta_hu, portal_hu: means; None where the vessel is not segmented on this scan."""

    aorta_hu: float | None
    portal_hu: float | None

    @property
    def phase(self) -> Phase:
        """What the rule says; unknown without both vessels."""
        if self.aorta_hu is None or self.portal_hu is None:
            return "unknown"
        if self.aorta_hu - self.portal_hu > ARTERIAL_LEAD_HU:
            return "arterial"
        return "pre-contrast" if max(self.aorta_hu, self.portal_hu) < CONTRAST_HU else "portal-venous"

    def words(self) -> str:
        """As a person would say it."""
        if self.phase == "unknown":
            return "not measured, since a vessel is not segmented"
        return f"{self.phase} by measurement (aorta {self.aorta_hu:.0f} HU, portal vein {self.portal_hu:.0f} HU)"


def measure_phase(series: Series, slices: Sequence[Slice], file: Segmentation) -> Measured:
    """Read a few slices and measure both vessels. Raises: what `stack_slices` and reading a slice raise."""
    stack = stack_slices(series, slices, "the CT")
    grid = Grid(stack.shape, stack.ijk_to_ras)
    means = []
    for name in ("abdominal aorta", "portal vein"):
        mask = mask_on_grid(file.mask(segments_named(file, (name,))), file.ijk_to_ras, grid)
        means.append(_mean(mask, series, stack.slices))
    return Measured(*means)


def _mean(mask: np.ndarray, series: Series, slices: Sequence[Slice]) -> float | None:
    counts = mask.sum(axis=(1, 2))
    planes = [int(k) for k in np.argsort(counts)[::-1][:PLANES] if counts[k] > 0]
    values = [plane_of(slices[k], series, "the CT")[mask[k]] for k in planes]
    found = np.concatenate(values) if values else np.zeros(0)
    return float(found.mean()) if found.size >= FEWEST_VOXELS else None
