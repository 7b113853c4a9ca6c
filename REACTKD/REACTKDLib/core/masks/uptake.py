"""Uptake of the regions in each PET: SUV where that is the unit, and the tumor-to-liver ratio, which needs no SUV.

The ratio is the lesion's maximum over the liver's middle value: the median of the parenchyma, which a vessel or the rim
of a lesion moves less than the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.modality import Modality

SAMPLES = 20_000
SEEN = 0.5  # of a region must lie in the PET


@dataclass(frozen=True)
class RegionUptake:
    """median, maximum: in `unit`. ratio: maximum over the parenchyma's median; None for the parenchyma itself."""

    unit: str
    median: float
    maximum: float
    ratio: float | None


def uptake_of(case: Case, regions: RegionSet) -> dict[str, tuple[RegionUptake | None, ...]]:
    """Return {modality: one entry for each region}, for every PET whose unit is proportional to activity.

    That is SUVbw and Bq/ml; nothing is claimed of an unknown unit. None for a region that mostly lies outside the PET.
    """
    return {
        modality.value: _in_pet(volume, regions)
        for modality, volume in case.volumes.items()
        if modality is not Modality.CT and volume.unit in (Unit.SUVBW, Unit.BQML)
    }


def _in_pet(volume: Volume, regions: RegionSet) -> tuple[RegionUptake | None, ...]:
    values = [_values(volume, regions, region) for region in regions.regions]
    liver = float(np.median(values[0])) if values[0] is not None else 0.0
    found = []
    for region, inside in zip(regions.regions, values, strict=True):
        if inside is None:
            found.append(None)
            continue
        top = float(inside.max())
        ratio = top / liver if region.kind == "tumor" and liver > 0 else None
        found.append(RegionUptake(volume.unit.value, float(np.median(inside)), top, ratio))
    return tuple(found)


def _values(volume: Volume, regions: RegionSet, region: Region) -> np.ndarray | None:
    """Return the PET at the voxels of a region (at most about 20,000 of them), linearly interpolated."""
    from scipy.ndimage import map_coordinates

    places = np.flatnonzero(regions.labels[region.box] == region.label)
    places = places[:: max(1, places.size // SAMPLES)]
    if places.size == 0:
        return None
    shape = tuple(part.stop - part.start for part in region.box)
    kji = np.stack(np.unravel_index(places, shape)) + np.array([[part.start] for part in region.box])
    to_index = np.linalg.inv(volume.ijk_to_ras) @ regions.ijk_to_ras
    index = (to_index[:3, :3] @ kji[::-1] + to_index[:3, 3:])[::-1]
    limits = np.array(volume.shape)[:, None]
    seen = np.all((index >= -0.5) & (index <= limits - 0.5), axis=0)
    if np.mean(seen) < SEEN:
        return None
    return map_coordinates(np.asarray(volume.array, np.float32), index[:, seen], order=1, mode="nearest")
