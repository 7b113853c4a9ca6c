"""The surface of a mask as a triangle mesh, smoothed for display."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.masks.regions import Region, RegionSet

CELL_MM = 2.0  # a finer mesh of a whole organ takes seconds and looks the same
SMOOTH_MM = 1.2
SMALL_MM = 20.0  # regions up to this size keep the resolution of the mask
LEAST_CELLS = 0.8  # minimum blur of a large region, in cells: otherwise thick slices show as steps


@dataclass(frozen=True, eq=False)
class Surface:
    """points: float32 (n, 3), mm RAS. triangles: int32 (m, 3), outward. normals: float32 (n, 3)."""

    points: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray


def surface_of(regions: RegionSet, region: Region) -> Surface:
    """Return the surface of one region, also closed at the edge of the image; empty for a region without voxels.

    The mask of a large region is averaged to cells of at most 2 mm; that of the organ, to cells as close to 2 mm as
    possible. It is blurred by a Gaussian of 1.2 mm, limited to at most one cell and, for a large region, to at least
    0.8 cells, and the surface is taken at one half. If blurring leaves a lower maximum, as in a small region, the
    surface is taken at half of that, so that every region has one.
    """
    from skimage.measure import marching_cubes

    mask = regions.labels[region.box] == region.label
    if not region.voxels:
        return Surface(*(np.zeros((0, 3), dtype) for dtype in (np.float32, np.int32, np.float32)))
    values, matrix = _smooth(mask, _placed(regions.ijk_to_ras, region.box), region.kind == "parenchyma")
    points, triangles, normals, _ = marching_cubes(values, level=0.5 * min(1.0, float(values.max())))
    turn = matrix[:3, :3]
    ras = points[:, ::-1] @ turn.T + matrix[:3, 3]
    across = normals[:, ::-1] @ np.linalg.inv(turn)  # normals transform by the inverse transpose
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    if np.linalg.det(turn) < 0:  # (k, j, i) reverses the order of corners, and a left-handed matrix reverses it again
        triangles = triangles[:, ::-1]
    return Surface(ras.astype(np.float32), np.ascontiguousarray(triangles, np.int32), across.astype(np.float32))


def _placed(ijk_to_ras: np.ndarray, box: Box) -> np.ndarray:
    matrix = np.array(ijk_to_ras)
    matrix[:3, 3] += matrix[:3, :3] @ [part.start for part in box[::-1]]
    return matrix


def _smooth(mask: np.ndarray, matrix: np.ndarray, is_organ: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the blurred mask as float32 with an empty margin, on a coarser grid if it is large, and its matrix."""
    from scipy.ndimage import gaussian_filter

    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    large = np.array(mask.shape[::-1]) * spacing > SMALL_MM
    fitting = CELL_MM / spacing
    factors = np.where(large, np.maximum(1, np.rint(fitting) if is_organ else np.floor(fitting + 0.01)), 1).astype(int)
    pad = [(2 * f, 2 * f + (-n) % f) for f, n in zip(factors[::-1], mask.shape)]
    values = np.pad(mask, pad)
    values = _block_means(values, factors[::-1])
    out = np.array(matrix)
    out[:3, :3] = matrix[:3, :3] * factors
    out[:3, 3] += matrix[:3, :3] @ ((factors - 1) / 2 - [low for low, _ in pad[::-1]])
    sigma = np.clip(SMOOTH_MM / (spacing * factors), np.where(large, LEAST_CELLS, 0.0), 1.0)[::-1]
    return gaussian_filter(values, sigma, mode="constant"), out


def _block_means(mask: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the mean of a bool mask over blocks of `factors` voxels (k, j, i), which divide its shape; float32.

    Computed by adding the positions within a block one after the other: NumPy's mean over three axes takes ten times as
    long.
    """
    counts = np.zeros([n // f for n, f in zip(mask.shape, factors)], dtype=np.uint16)
    for k, j, i in np.ndindex(*factors):
        counts += mask[k :: factors[0], j :: factors[1], i :: factors[2]]
    return counts.astype(np.float32) / np.float32(np.prod(factors))
