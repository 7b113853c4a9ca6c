"""Descriptors of the set of lesions, from masks alone: their number, size, spread and irregularity.

Softmax pooling over nodes cannot count them; this additional node can, and the report shows it separately.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.geometry import center_of
from REACTKDLib.core.masks.regions import RegionSet

TOPOLOGY_NAMES = (
    "lesions",
    "ln lesions",
    "ln tumor volume ml",
    "ln largest volume ml",
    "spread mm",
    "ln margin irregularity",
    "largest share",
)


@dataclass(frozen=True, eq=False)
class Topology:
    """values: (7,) float32 in the order of `names`; all zeros if there is no lesion."""

    values: np.ndarray
    names: tuple[str, ...] = TOPOLOGY_NAMES


def margin_irregularity(mask: np.ndarray, spacing_kji: np.ndarray) -> float:
    """Return the RMS variation of the surface radius over its mean. mask: (D, H, W); spacing_kji: (3,) mm (k, j, i).

    Radii are from the centroid to the centers of surface voxels. The variance caused by the voxel grid alone ((sum of
    squared spacings) / 36, a uniform error along a random normal) is subtracted. The minimum is 0.02. On thick slices
    voxels cause more variance, so small lesions look irregular there: a sphere of 16 mm on slices of 5 mm has 0.09.
    """
    inner = np.pad(mask, 1)
    for axis in range(3):  # voxels whose six neighbors all belong to the mask
        here, there = np.moveaxis(inner, axis, 0), np.moveaxis(np.pad(mask, 1), axis, 0)
        here[1:-1] &= there[:-2] & there[2:]
    points = np.argwhere(mask & ~inner[1:-1, 1:-1, 1:-1]) * spacing_kji
    if len(points) < 12:
        return 0.1
    center = center_of(mask)[1] * spacing_kji
    radius = np.linalg.norm(points - center, axis=1)
    variance = radius.var() - float((spacing_kji**2).sum()) / 36
    return float(np.sqrt(max(variance, 0.0)) / radius.mean()) if variance > (0.02 * radius.mean()) ** 2 else 0.02


def region_shape(regions: RegionSet, index: int) -> np.ndarray:
    """Return (2,) float32 of a lesion: ln of its volume in ml, ln of its margin irregularity on the reference grid."""
    lesion = regions.regions[index]
    margin = margin_irregularity(regions.labels[lesion.box] == lesion.label, regions.spacing[::-1])
    return np.array([np.log(max(lesion.volume_ml, 1e-3)), np.log(margin)], dtype=np.float32)


def topology_descriptors(regions: RegionSet) -> Topology:
    """Describe the set of lesions; the margin irregularity is that of the largest lesion on the reference grid."""
    lesions = regions.lesions
    if not lesions:
        return Topology(np.zeros(len(TOPOLOGY_NAMES), dtype=np.float32))
    volumes = np.array([max(r.volume_ml, 1e-3) for r in lesions])
    centers = np.array([r.centroid_ras for r in lesions])
    spread = np.sqrt(((centers - centers.mean(axis=0)) ** 2).sum(axis=1).mean())
    main = lesions[0]
    margin = margin_irregularity(regions.labels[main.box] == main.label, regions.spacing[::-1])
    values = (
        len(lesions),
        np.log(len(lesions)),
        np.log(volumes.sum()),
        np.log(volumes[0]),
        spread,
        np.log(margin),
        volumes[0] / volumes.sum(),
    )
    return Topology(np.array(values, dtype=np.float32))
