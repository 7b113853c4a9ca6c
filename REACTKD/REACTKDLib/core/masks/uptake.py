"""Uptake of the regions in each PET: SUVmax, SUVmean and SUVpeak if the unit is SUV, and the tumor-to-liver ratio.

A lesion is measured on the PET's own voxels, those whose centers lie in it. If it is so small that it contains no
center, the voxels that contain the centers of its own voxels are used.

- SUVmax, SUVmean: the largest and the mean value of these voxels.
- SUVpeak: the largest mean in a sphere of 1 ml (radius 6.2 mm) around one of them; a voxel that is partly in the sphere
  counts in proportion. The sphere may extend beyond the lesion's border (PERCIST 1.0, doi:10.2967/jnumed.108.057307).
  None for a lesion under 1 ml, where it would measure the surroundings.
- Tumor-to-liver ratio: the largest value over the liver's mean. Needs a unit proportional to activity, not necessarily
  SUV.
- The liver's mean is that of the middle half of the values in the parenchyma (which vessels move less than a plain
  mean), at least 3 mm away from every lesion; without that margin if it leaves less than a tenth of the samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.modality import Modality

LIVER_SAMPLES = 6_000
LIVER_SEEN = 0.5  # of the parenchyma must lie in the PET; a lesion must lie in it entirely
MARGIN_MM = 3.0
PEAK_ML = 1.0
PEAK_MM = float((3 * 1000 * PEAK_ML / (4 * np.pi)) ** (1 / 3))


@dataclass(frozen=True)
class RegionUptake:
    """The uptake of one region in one PET; None for values that are not reported.

    suv_max, suv_mean, suv_peak: g/ml, None unless the PET is in SUVbw. The parenchyma has only suv_mean, the liver's
    mean. to_liver: tumor-to-liver ratio of a lesion. unit_inferred: the unit is not stated but inferred from the
    values.
    """

    suv_max: float | None
    suv_mean: float | None
    suv_peak: float | None
    to_liver: float | None
    unit_inferred: bool = False


@dataclass(frozen=True)
class _Level:
    """Values of a region in the unit of the PET."""

    top: float
    mean: float
    peak: float | None


def uptake_of(
    case: Case, regions: RegionSet, keys: Mapping[int, Any] | None = None, memo: Memo | None = None
) -> dict[str, tuple[RegionUptake | None, ...]]:
    """Return {modality: one entry for each region}, for every PET whose unit is proportional to activity.

    These are SUVbw and Bq/ml; nothing is reported for an unknown unit. None for a lesion that is not entirely in the
    PET. keys: of each lesion by its label, equal if it has the same voxels; memo: cache for these images, with the
    measurements of such lesions.
    """
    pets = {m: v for m, v in case.volumes.items() if m is not Modality.CT and v.unit in (Unit.SUVBW, Unit.BQML)}
    if not pets:
        return {}
    memo = memo or Memo()
    keys = {lesion.label: (keys or {}).get(lesion.label, lesion.label) for lesion in regions.lesions}
    places = _Liver(regions, keys, memo)
    return {modality.value: _in_pet(modality, volume, regions, places, keys, memo) for modality, volume in pets.items()}


def _in_pet(
    modality: Modality, volume: Volume, regions: RegionSet, places: _Liver, keys: Mapping[int, Any], memo: Memo
) -> tuple[RegionUptake | None, ...]:
    liver = places.mean_of(volume)
    suv = volume.unit is Unit.SUVBW
    found = [None if liver is None else RegionUptake(None, liver if suv else None, None, None, volume.unit_inferred)]
    sphere = memo.of(("sphere", modality), lambda: sphere_weights(volume.ijk_to_ras))
    for lesion in regions.lesions:
        key = ("uptake", modality, keys[lesion.label])
        level = memo.of(key, lambda lesion=lesion: _level(volume, regions, lesion, sphere))
        if level is None:
            found.append(None)
            continue
        ratio = level.top / liver if liver is not None and liver > 0 else None
        values = (level.top, level.mean, level.peak) if suv else (None, None, None)
        found.append(RegionUptake(*values, ratio, volume.unit_inferred))
    return tuple(found)


def _level(volume: Volume, regions: RegionSet, lesion: Region, sphere: np.ndarray) -> _Level | None:
    """Measure one lesion; None if it does not lie entirely in the PET. sphere: its `sphere_weights`."""
    from_reference = np.linalg.inv(volume.ijk_to_ras) @ regions.ijk_to_ras
    own = np.argwhere(regions.labels[lesion.box] == lesion.label) + [part.start for part in lesion.box]
    index = np.rint(_mapped(own, from_reference)).astype(int)
    if len(index) == 0 or not _is_inside(index, volume.shape).all():
        return None
    voxels = _centers_in(volume, regions, lesion, np.linalg.inv(from_reference))
    if len(voxels) == 0:
        voxels = np.unique(index, axis=0)
    values = volume.array[tuple(voxels.T)].astype(np.float64)
    peak = _peak(volume, voxels, sphere) if lesion.volume_ml >= PEAK_ML else None
    return _Level(float(values.max()), float(values.mean()), peak)


def _mapped(kji: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Transform indices (n, 3) to (k, j, i) of another grid. matrix: (4, 4), for (i, j, k)."""
    return kji @ matrix[:3, :3][::-1, ::-1].T + matrix[:3, 3][::-1]


def _is_inside(index: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.all((index >= 0) & (index < shape), axis=1)


def _centers_in(volume: Volume, regions: RegionSet, lesion: Region, to_reference: np.ndarray) -> np.ndarray:
    """Return the PET's voxels (n, 3), k, j, i, whose centers lie in the lesion."""
    edges = np.array([[part.start - 0.5, part.stop - 0.5] for part in lesion.box])
    corners = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    reached = _mapped(corners, np.linalg.inv(to_reference))
    low = np.maximum(np.ceil(reached.min(axis=0)), 0).astype(int)
    high = np.minimum(np.floor(reached.max(axis=0)) + 1, volume.shape).astype(int)
    if np.any(low >= high):
        return np.zeros((0, 3), dtype=int)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    start = np.array([part.start for part in lesion.box])
    index = np.rint(_mapped(voxels, to_reference)).astype(int) - start
    shape = tuple(part.stop - part.start for part in lesion.box)
    seen = _is_inside(index, shape)
    voxels, index = voxels[seen], index[seen]
    return voxels[regions.labels[lesion.box][tuple(index.T)] == lesion.label]


def _peak(volume: Volume, voxels: np.ndarray, weights: np.ndarray) -> float | None:
    """Return the largest mean in a sphere of 1 ml around one of the voxels; None if no sphere lies entirely in the
    PET.
    """
    reach = np.array(weights.shape) // 2
    voxels = voxels[_is_inside(voxels - reach, volume.shape) & _is_inside(voxels + reach, volume.shape)]
    if len(voxels) == 0:
        return None
    low, high = voxels.min(axis=0) - reach, voxels.max(axis=0) + reach + 1
    part = volume.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float64)
    return float(_weighted_means(part, weights)[tuple((voxels - reach - low).T)].max())


def _weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean around each voxel for which all weights lie inside the array, so without voxels near the
    edge.

    Computed by NumPy's Fourier transforms, since importing scipy.signal takes longer than the whole grading. weights:
    mirror-symmetric, so that a convolution is a correlation.
    """
    axes = (0, 1, 2)
    spectrum = np.fft.rfftn(values) * np.fft.rfftn(weights, values.shape, axes)
    valid = tuple(slice(size - 1, None) for size in weights.shape)  # values that wrap around come before
    return np.fft.irfftn(spectrum, values.shape, axes)[valid]


def sphere_weights(ijk_to_ras: np.ndarray) -> np.ndarray:
    """Return the fraction of a sphere of 1 ml around a voxel's center that lies in each voxel: (d, h, w), odd sizes,
    sum 1.

    Computed from points at most 0.4 mm apart in each voxel; points near the sphere's surface count in part.
    """
    axes = ijk_to_ras[:3, :3]
    reach = PEAK_MM * np.linalg.norm(np.linalg.inv(axes), axis=1)  # half the sphere's extent in voxels, i, j, k
    points = []
    for half, spacing in zip(np.floor(reach + 0.5).astype(int), np.linalg.norm(axes, axis=0), strict=True):
        fine = int(np.clip(np.ceil(spacing / 0.4), 3, 16))
        inner = (np.arange(fine) + 0.5) / fine - 0.5
        points.append(np.arange(-half, half + 1)[:, None] + inner[None, :])
    (i, j, k), sizes = [part.ravel() for part in points], [part.shape for part in points]
    squared = sum(
        (row[0] * i[None, None, :] + row[1] * j[None, :, None] + row[2] * k[:, None, None]) ** 2 for row in axes
    )
    (ni, fi), (nj, fj), (nk, fk) = sizes
    step = float(np.mean(np.linalg.norm(axes, axis=0) / (fi, fj, fk)))
    inside = np.clip((PEAK_MM - np.sqrt(squared)) / step + 0.5, 0, 1)
    inside = inside.reshape(nk, fk, nj, fj, ni, fi).mean(axis=(1, 3, 5))
    return inside / inside.sum()


class _Liver:
    """The sample positions in the liver: voxels of the parenchyma on a regular lattice, and which of them are far from
    lesions.
    """

    def __init__(self, regions: RegionSet, keys: Mapping[int, Any], memo: Memo) -> None:
        """keys, memo: the cached surfaces of lesions with these keys are not computed again."""
        box, spacing = regions.regions[0].box, regions.spacing[::-1]
        sizes = np.array([part.stop - part.start for part in box])
        pace = (np.prod(sizes * spacing) / LIVER_SAMPLES) ** (1 / 3)
        steps = np.maximum(1, np.floor(pace / spacing)).astype(int)
        labels = regions.labels[tuple(slice(p.start, p.stop, int(s)) for p, s in zip(box, steps, strict=True))]
        self.ijk_to_ras = regions.ijk_to_ras
        self.places = np.argwhere(labels == 1) * steps + [part.start for part in box]
        self.near = np.zeros(len(self.places), dtype=bool)
        pad = np.ceil(MARGIN_MM / spacing)
        turn = regions.ijk_to_ras[:3, :3][::-1, ::-1].T
        for lesion in regions.lesions:
            low, high = ([getattr(part, end) for part in lesion.box] for end in ("start", "stop"))
            close = np.all((self.places >= low - pad) & (self.places < high + pad), axis=1) & ~self.near
            if close.any():
                tree = memo.of(("surface", keys[lesion.label]), lambda lesion=lesion: _surface_tree(regions, lesion))
                distance, _ = tree.query(self.places[close] @ turn, distance_upper_bound=MARGIN_MM)
                self.near[close] = np.isfinite(distance)

    def mean_of(self, volume: Volume) -> float | None:
        """Return the mean of the middle half of a PET's values; None if too little of the liver lies in the PET."""
        if len(self.places) == 0:
            return None
        index = np.rint(_mapped(self.places, np.linalg.inv(volume.ijk_to_ras) @ self.ijk_to_ras)).astype(int)
        seen = _is_inside(index, volume.shape)
        if seen.mean() < LIVER_SEEN:
            return None
        far = seen & ~self.near
        chosen = far if far.sum() >= 0.1 * seen.sum() else seen
        values = volume.array[tuple(index[chosen].T)].astype(np.float64)
        low, high = np.percentile(values, (25, 75))
        return float(values[(values >= low) & (values <= high)].mean())


def _surface_tree(regions: RegionSet, lesion: Region) -> Any:
    """Return a nearest-neighbor tree of the surface voxels of a lesion, in mm."""
    from scipy.ndimage import binary_erosion
    from scipy.spatial import cKDTree

    mask = regions.labels[lesion.box] == lesion.label
    surface = np.argwhere(mask & ~binary_erosion(mask)) + [part.start for part in lesion.box]
    return cKDTree(surface @ regions.ijk_to_ras[:3, :3][::-1, ::-1].T)
