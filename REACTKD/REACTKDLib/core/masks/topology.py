"""The graph's own descriptors: how many lesions, how large, how spread, how irregular. From masks alone.

Softmax pooling over nodes cannot count; this node can, and the report shows it as a node of its own.
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
    """values: (7,) float32 in the order of `names`; all zeros when there is no lesion."""

    values: np.ndarray
    names: tuple[str, ...] = TOPOLOGY_NAMES


def margin_irregularity(mask: np.ndarray, spacing_kji: np.ndarray) -> float:
    """Rms variation of the surface radius over its mean, from a mask (D, H, W) and its spacing in mm (k, j, i).

    Radii run from the centroid to the centers of surface voxels; the variance that voxels alone cause
    ((sum of squared spacings) / 36, a uniform error along a random normal) is taken off. Floor 0.02. On thick slices
    voxels cause more, so small lesions look irregular there: a sphere of 16 mm on slices of 5 mm has 0.09.
    """
    inner = np.pad(mask, 1)
    for axis in range(3):  # voxels whose six neighbors are all of the mask
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
    """(2,) float32 of a lesion: ln of its volume in ml, ln of its margin's irregularity on the reference grid."""
    lesion = regions.regions[index]
    margin = margin_irregularity(regions.labels[lesion.box] == lesion.label, regions.spacing[::-1])
    return np.array([np.log(max(lesion.volume_ml, 1e-3)), np.log(margin)], dtype=np.float32)


def topology_descriptors(regions: RegionSet) -> Topology:
    """Describe the set of lesions; margin irregularity is that of the largest one on the reference grid."""
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
