"""Resampling of masks to another grid, by world coordinates and nearest voxel, that preserves small lesions."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box, Grid, corners_of
from REACTKDLib.core.images.neighbors import CONNECTED

WHOLE_VOXELS = 1e-2  # NIfTI and segmentation files round geometry to about 1e-3 of a voxel


def laid_on_grid(mask: np.ndarray, ijk_to_ras: np.ndarray, grid: Grid, out: np.ndarray) -> Box:
    """Add a bool mask (D, H, W) with `ijk_to_ras` to `out`, bool on `grid`, and return a box there that contains it.

    What lies outside the grid is lost. The mask is copied if the grids differ by whole voxels only, as is usual for a
    segment and its image; otherwise it is resampled by `mask_on_grid`.
    """
    windows = whole_voxel_windows(mask.shape, ijk_to_ras, grid)
    if windows is None:
        placed = mask_on_grid(mask, ijk_to_ras, grid)
        out |= placed
        return bounding_box(placed) or (slice(0, 0),) * 3
    source, target = windows
    out[target] |= mask[source]
    return target


def whole_voxel_windows(
    shape: tuple[int, int, int], ijk_to_ras: np.ndarray, onto: Grid
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Return the part of an array that overlaps `onto`, and the part of `onto`, if they differ by whole voxels only,
    else None.

    Both parts are empty if the two do not overlap.
    """
    to_grid = np.linalg.inv(onto.ijk_to_ras) @ ijk_to_ras
    shift = np.rint(to_grid[:3, 3]).astype(int)
    exact = np.eye(4)
    exact[:3, 3] = shift
    if np.abs((to_grid - exact) @ corners_of(shape).T).max() > WHOLE_VOXELS:
        return None
    source, target = [], []
    for start, size, room in zip(shift[::-1], shape, onto.shape, strict=True):
        low, high = max(0, -int(start)), min(size, room - int(start))
        if low >= high:
            return (slice(0, 0),) * 3, (slice(0, 0),) * 3
        source.append(slice(low, high))
        target.append(slice(low + int(start), high + int(start)))
    return tuple(source), tuple(target)


def mask_on_grid(mask: np.ndarray, ijk_to_ras: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a bool mask (D, H, W) with `ijk_to_ras` resampled to `grid`, nearest voxel.

    A component (26-connected) that contains no voxel center of `grid` gets the voxel nearest to its own center, so that
    the smallest lesion is kept on a coarser grid. Components outside the grid are lost.
    """
    from scipy.ndimage import affine_transform

    out = np.zeros(grid.shape, dtype=bool)
    box = bounding_box(mask)
    if box is None:
        return out
    to_source = np.linalg.inv(ijk_to_ras) @ grid.ijk_to_ras
    window = _window_of(box, np.linalg.inv(to_source), grid.shape)
    if window is None:
        return out
    matrix = to_source[:3, :3][::-1, ::-1]  # from (i, j, k) to (k, j, i)
    start = np.array([s.start for s in window], dtype=float)
    offset = matrix @ start + to_source[:3, 3][::-1] - [s.start for s in box]
    shape = tuple(s.stop - s.start for s in window)
    source = np.pad(mask[box].astype(np.uint8), 1)  # so that nothing beyond the mask's box is sampled
    out[window] = affine_transform(source, matrix, offset + 1, shape, order=0, mode="constant", cval=0) > 0
    _keep_small_parts(mask[box], box, np.linalg.inv(to_source), out, to_source)
    return out


def share_inside(mask: np.ndarray, ijk_to_ras: np.ndarray, grid: Grid) -> float:
    """Return the fraction of the mask's voxels whose centers lie inside `grid`, estimated from at most about 20,000 of
    them.
    """
    box = bounding_box(mask)
    if box is None:
        return 0.0
    part = mask[box]
    places = np.flatnonzero(part)
    kji = np.transpose(np.unravel_index(places[:: max(1, len(places) // 20_000)], part.shape)) + [s.start for s in box]
    to_target = np.linalg.inv(grid.ijk_to_ras) @ ijk_to_ras
    index = kji[:, ::-1] @ to_target[:3, :3].T + to_target[:3, 3]
    limits = np.array(grid.shape[::-1])
    return float(np.mean(np.all((index >= -0.5) & (index <= limits - 0.5), axis=1)))


def has_no_geometry(ijk_to_ras: np.ndarray) -> bool:
    """Return True for 1 mm voxels along the axes at the origin, which a writer stores if it was given no geometry."""
    return bool(np.allclose(np.abs(ijk_to_ras), np.eye(4), atol=1e-9))


def _window_of(box: tuple[slice, ...], to_target: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Return the part of the target grid that the source box can reach, or None."""
    edges = np.array([[s.start - 0.5, s.stop - 0.5] for s in box])
    corners = np.array([[edges[2, a], edges[1, b], edges[0, c]] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    reached = (corners @ to_target[:3, :3].T + to_target[:3, 3])[:, ::-1]
    low = np.maximum(np.floor(reached.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(reached.max(axis=0)).astype(int) + 1, shape)
    if np.any(low >= high):
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high))


def _keep_small_parts(
    part: np.ndarray, box: tuple[slice, ...], to_target: np.ndarray, out: np.ndarray, to_source: np.ndarray
) -> None:
    from scipy.ndimage import label

    parts, count = label(part, structure=CONNECTED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    cell = abs(np.linalg.det(to_source[:3, :3]))
    for number in np.flatnonzero(sizes[1:] < 64 * max(cell, 1)) + 1:  # larger components always contain a center
        kji = np.argwhere(parts == number) + [s.start for s in box]
        index = np.rint(kji[:, ::-1] @ to_target[:3, :3].T + to_target[:3, 3]).astype(int)[:, ::-1]
        index = index[np.all((index >= 0) & (index < out.shape), axis=1)]
        if len(index) and not out[tuple(index.T)].any():
            out[tuple(index[len(index) // 2])] = True
