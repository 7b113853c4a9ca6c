"""Selection of the scan that belongs to a segmentation of HCC-TACE-Seg: referenced series, acquisition, contrast phase.

The phase is measured in the aorta and the portal vein, since headers do not state it. Arterial: the aorta is more than
80 HU brighter than the portal vein. Pre-contrast: both are below 80 HU. Otherwise portal venous (or later). The rule of
the 80 HU difference is from public readers of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.dicom.geometry import stack_slices
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.phases import split_phases
from REACTKDLib.core.files.dicom.series import plane_of
from REACTKDLib.core.files.segments import Segmentation
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid, share_inside
from REACTKDTrainLib.cohorts.survey import Problem
from REACTKDTrainLib.cohorts.tace_case import LIVER, segments_named

Phase = Literal["pre-contrast", "arterial", "portal-venous", "unknown"]
ARTERIAL_LEAD_HU = 80.0
CONTRAST_HU = 80.0
PLANES = 3  # number of slices read to measure a vessel
FEWEST_VOXELS = 10  # in a vessel
FEWEST_INSIDE = 0.95  # share of the liver that must be inside the CT


@dataclass(frozen=True)
class Measured:
    """aorta_hu, portal_hu: means in HU; None if the vessel is not segmented on this scan."""

    aorta_hu: float | None
    portal_hu: float | None

    @property
    def phase(self) -> Phase:
        """Return the phase by the rule above; unknown without both vessels."""
        if self.aorta_hu is None or self.portal_hu is None:
            return "unknown"
        if self.aorta_hu - self.portal_hu > ARTERIAL_LEAD_HU:
            return "arterial"
        return "pre-contrast" if max(self.aorta_hu, self.portal_hu) < CONTRAST_HU else "portal-venous"

    def words(self) -> str:
        """Return a text for display."""
        if self.phase == "unknown":
            return "not measured, since a vessel is not segmented"
        return f"{self.phase} by measurement (aorta {self.aorta_hu:.0f} HU, portal vein {self.portal_hu:.0f} HU)"


def measure_phase(series: Series, slices: Sequence[Slice], file: Segmentation) -> Measured:
    """Read a few slices and measure both vessels. Raises: see `stack_slices`, and errors of reading a slice."""
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


@dataclass(eq=False)
class Acquisition:
    """A candidate scan for the segmentation. inside: share of the liver within it."""

    series: Series
    slices: list[Slice]
    number: int
    of: int
    inside: float


def candidates_of(
    patient: str, seg: Series, found: Sequence[Series], file: Segmentation, problems: list[Problem]
) -> list[Acquisition]:
    """Return the acquisitions of the referenced series or, if it is not stated or missing, of the same study."""
    scans = [s for s in found if s.modality == "CT" and len(s.slices) > 1]
    named = [s for s in scans if s.uid in seg.referenced]
    if not named:
        why = "names a series that is not here" if seg.referenced else "does not say which series it was drawn on"
        text = f"The segmentation {why}; the CT of its study that holds it was looked for."
        problems.append(Problem(patient, "series-not-referenced", text))
        named = [s for s in scans if s.study_uid == seg.study_uid] or scans
    return [a for series in named for a in _acquisitions(patient, series, file, problems)]


def _acquisitions(patient: str, series: Series, file: Segmentation, problems: list[Problem]) -> list[Acquisition]:
    liver = file.mask(segments_named(file, LIVER))
    found = []
    try:
        phases = split_phases(series, "the CT")
    except ReactkdError as error:
        problems.append(Problem(patient, "series-unreadable", str(error)))
        return []
    for number, slices in enumerate(phases, start=1):
        try:
            stack = stack_slices(series, slices, f"acquisition {number} of the CT")
        except ReactkdError as error:
            problems.append(Problem(patient, "series-unreadable", str(error)))
            continue
        inside = share_inside(liver, file.ijk_to_ras, Grid(stack.shape, stack.ijk_to_ras))
        found.append(Acquisition(series, list(slices), number, len(phases), inside))
    return found


def choose_scan(
    patient: str, file: Segmentation, candidates: Sequence[Acquisition], phase: Phase, problems: list[Problem]
) -> tuple[Acquisition, str] | None:
    """Return the acquisition to use, and its phase in words; None, with a problem, if there is none."""
    if not candidates:
        if not any(p.case == patient and p.code == "series-unreadable" for p in problems):
            problems.append(
                Problem(patient, "no-image", "There is no CT for the segmentation; the patient was left out.")
            )
        else:
            problems.append(Problem(patient, "unreadable", "No CT of the segmentation can be read as a volume."))
        return None
    on = [a for a in candidates if a.inside >= FEWEST_INSIDE]
    if not on:
        most = max(a.inside for a in candidates)
        text = f"Only {100 * most:.0f} % of the segmented liver lies in its CT series; the patient was left out."
        problems.append(Problem(patient, "no-overlap", text))
        return None
    measured = [measure_phase(a.series, a.slices, file) for a in on]
    wanted = [n for n, m in enumerate(measured) if m.phase == phase]
    if len(on) == 1:
        if not wanted:
            text = f"The phase is {measured[0].words()}, and no other scan lies under the segmentation."
            problems.append(Problem(patient, "phase", text))
        return on[0], measured[0].words()
    seen = "; ".join(f"{n}: {m.words()}" for n, m in enumerate(measured, start=1))
    if not wanted:
        text = f"None of {len(on)} scans at the segmentation's place shows the phase {phase} ({seen})."
        problems.append(Problem(patient, "ambiguous", text))
        return None
    # Of a portal-venous and a delayed scan, the portal vein is brighter in the former.
    chosen = max(wanted, key=lambda n: measured[n].aorta_hu if phase == "arterial" else measured[n].portal_hu)
    text = f"{len(on)} scans lie at the segmentation's place; number {chosen + 1} was taken for its phase ({seen})."
    problems.append(Problem(patient, "phase-chosen", text))
    return on[chosen], measured[chosen].words()
