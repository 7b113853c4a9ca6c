"""Axes and resampling: volumes in nearest RAS order, separable weights along the axes, sampling by world
coordinates.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from REACTKDLib.core.images.grid import Box, Grid
from REACTKDLib.core.images.volume import Volume

_SMALL = 2**16  # voxels; below, one product for each axis is as fast
_BAND = 16  # rows per product: fewer make more products, more multiply more zeros


def nearest_ras_axes(ijk_to_ras: np.ndarray) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return the index axis (0 i, 1 j, 2 k) that runs closest to each of R, A, S, and its sign along it.

    It is the one-to-one assignment with the largest sum of cosines; among equals, the first in order.
    """
    direction = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    cosines = np.round(np.abs(direction), 6)
    axes = max(permutations(range(3)), key=lambda p: sum(cosines[row, p[row]] for row in range(3)))
    signs = tuple(1 if direction[row, axes[row]] >= 0 else -1 for row in range(3))
    return axes, signs


def to_ras_order(array: np.ndarray, ijk_to_ras: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a view of `array` as (S, A, R) with increasing coordinates, and the view's matrix. Nothing is resampled.

    array: (D, H, W) or (..., D, H, W). The 48 ways to store one image give the same view.
    """
    axes, signs = nearest_ras_axes(ijk_to_ras)
    lead = tuple(range(array.ndim - 3))
    order = tuple(len(lead) + 2 - axes[row] for row in (2, 1, 0))
    view = np.transpose(array, (*lead, *order))
    view = view[(..., *(slice(None, None, signs[row]) for row in (2, 1, 0)))]
    matrix = np.eye(4)
    matrix[:3, :3] = ijk_to_ras[:3, list(axes)] * np.asarray(signs)
    origin = ijk_to_ras[:3, 3].copy()
    sizes = array.shape[::-1]
    for row in range(3):
        if signs[row] < 0:
            origin += ijk_to_ras[:3, axes[row]] * (sizes[axes[row]] - 1)
    matrix[:3, 3] = origin
    return view, matrix


def box_in_ras_order(box: Box, shape: tuple[int, int, int], ijk_to_ras: np.ndarray) -> Box:
    """Return the box of an array (D, H, W) of this shape in the view of `to_ras_order`."""
    axes, signs = nearest_ras_axes(ijk_to_ras)
    out = []
    for row in (2, 1, 0):
        part, size = box[2 - axes[row]], shape[2 - axes[row]]
        out.append(part if signs[row] > 0 else slice(size - part.stop, size - part.start))
    return tuple(out)


def from_ras_order(array: np.ndarray, ijk_to_ras: np.ndarray) -> np.ndarray:
    """Invert `to_ras_order` for an array (S, A, R) of the volume whose own matrix is `ijk_to_ras`."""
    axes, signs = nearest_ras_axes(ijk_to_ras)
    view = array[tuple(slice(None, None, signs[row]) for row in (2, 1, 0))]
    order = [2 - axes[row] for row in (2, 1, 0)]
    return np.transpose(view, np.argsort(order))


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box (three slices) of the true voxels of a (D, H, W) mask, or None if there are none.

    The mask is read in memory order, whatever the view: reading a flipped view as it is takes ten times as long.
    """
    order = np.argsort([-abs(stride) for stride in mask.strides], kind="stable")
    held = mask[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in mask.strides)].transpose(order)
    hits = np.flatnonzero(held.reshape(len(held), -1).any(axis=1) if mask.size else ())
    if hits.size == 0:
        return None
    plane = held[hits[0] : hits[-1] + 1].any(axis=0)
    box = [slice(0, 0)] * 3
    for axis, found in zip(order, (hits, np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0)))):
        start, stop, n = int(found[0]), int(found[-1]) + 1, mask.shape[axis]
        box[axis] = slice(n - stop, n - start) if mask.strides[axis] < 0 else slice(start, stop)
    return tuple(box)


def center_of(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the number of true voxels of a (D, H, W) mask, and their mean index (k, j, i); zeros if there are none.

    Computed from marginal sums, without a list of coordinates for a liver of millions of voxels.
    """
    plane = mask.sum(axis=0, dtype=np.int32)
    marginals = mask.sum(axis=(1, 2), dtype=np.int64), plane.sum(axis=1), plane.sum(axis=0)
    count = int(marginals[0].sum())
    center = [(marginal * np.arange(marginal.size)).sum() / max(count, 1) for marginal in marginals]
    return count, np.array(center)


def linear_weights(n_source: int, source_mm: float, first_mm: float, n_target: int, target_mm: float) -> np.ndarray:
    """Return weights of linear interpolation along one axis, widened to the target voxel if that is larger (no
    aliasing).

    first_mm: position of the first target center relative to the first source center. Returns (n_target, n_source)
    float32; rows of targets whose center is outside the source are zero, others sum to one.
    """
    source = np.arange(n_source) * source_mm
    target = first_mm + np.arange(n_target) * target_mm
    half = max(source_mm, target_mm)
    weights = np.maximum(1 - np.abs(target[:, None] - source[None, :]) / half, 0)
    inside = (target >= -source_mm / 2) & (target <= source[-1] + source_mm / 2)
    nearest = np.abs(target[:, None] - source[None, :]).argmin(axis=1)
    weights[np.arange(n_target), nearest] += weights.sum(axis=1) == 0
    return (weights / weights.sum(axis=1, keepdims=True) * inside[:, None]).astype(np.float32)


def area_weights(n_source: int, source_mm: float, first_mm: float, n_target: int, target_mm: float) -> np.ndarray:
    """Return the fraction of each target cell that each source cell covers along one axis: (n_target, n_source)
    float32.

    Cells are one voxel wide around their centers, so the product over three axes conserves volume exactly.
    """
    source = np.arange(n_source) * source_mm
    target = first_mm + np.arange(n_target) * target_mm
    low = np.maximum(target[:, None] - target_mm / 2, source[None, :] - source_mm / 2)
    high = np.minimum(target[:, None] + target_mm / 2, source[None, :] + source_mm / 2)
    return (np.maximum(high - low, 0) / target_mm).astype(np.float32)


def apply_separable(
    array: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray, np.ndarray],
    clip: tuple[float, float] | None = None,
) -> np.ndarray:
    """Multiply (D, H, W) by one matrix per axis; weights are (n_target, n_source) for D, H, W. Returns float32.

    clip: limits to which values are clipped first. A large array is read plane by plane, along its slowest axis in
    memory, so that it is never copied as a whole, and zeros outside the few weights of a row are not multiplied.
    """
    if array.size < _SMALL:
        wd, wh, ww = weights
        out = _plane(array, clip) @ ww.T
        out = np.matmul(wh, out)
        return np.matmul(wd, out.reshape(out.shape[0], -1)).reshape(wd.shape[0], wh.shape[0], ww.shape[0])
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    depth, rows, columns = (_bands(weights[axis]) for axis in order)
    sizes = [len(weights[axis]) for axis in order]
    planes = np.empty((array.shape[order[0]], *sizes[1:]), dtype=np.float32)
    between = np.empty((sizes[1], array.shape[order[2]]), dtype=np.float32)
    for source, plane in zip(array.transpose(order), planes, strict=True):
        _multiply(rows, _plane(source, clip), between)
        _multiply(columns, between.T, plane.T)
    out = np.empty((sizes[0], planes[0].size), dtype=np.float32)
    _multiply(depth, planes.reshape(len(planes), -1), out)
    return np.ascontiguousarray(out.reshape(sizes).transpose(np.argsort(order)))


def _plane(values: np.ndarray, clip: tuple[float, float] | None) -> np.ndarray:
    """Return the plane as float32 in C order, clipped before conversion: integers are clipped in their own type."""
    return np.ascontiguousarray(values if clip is None else np.clip(values, *clip), dtype=np.float32)


def _bands(weights: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
    """Divide (n_target, n_source) into rows: the targets, the sources that they need, and the weights between the
    two.
    """
    parts = []
    for start in range(0, len(weights), _BAND):
        rows = weights[start : start + _BAND]
        used = np.flatnonzero(rows.any(axis=0))
        sources = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
        parts.append((slice(start, start + len(rows)), sources, np.ascontiguousarray(rows[:, sources])))
    return parts


def _multiply(bands: list[tuple[slice, slice, np.ndarray]], array: np.ndarray, out: np.ndarray) -> None:
    """Write the product of the matrix from `_bands` and (n_source, m) to `out` (n_target, m)."""
    for targets, sources, weights in bands:
        np.matmul(weights, array[sources], out=out[targets])


def sample_volume(volume: Volume, grid: Grid, fill: float) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate `volume` linearly at the centers of `grid`, by world coordinates.

    A volume finer than the grid is first averaged to the grid's voxel size, to avoid aliasing. Returns values (D, H, W)
    float32 with `fill` outside, and the bool mask of centers inside the volume.
    """
    frame = np.eye(4)
    frame[:3, :3] = grid.ijk_to_ras[:3, :3] / grid.spacing
    frame[:3, 3] = grid.ijk_to_ras[:3, 3]
    array, own = to_ras_order(volume.array, np.linalg.inv(frame) @ volume.ijk_to_ras)  # in mm along the grid's axes
    skew = own[:3, :3] - np.diag(np.diag(own[:3, :3]))
    if np.abs(skew).max() * max(array.shape) < 1e-2:
        values, inside = _sample_aligned(array, own, grid)
    else:
        values, inside = _sample_turned(array, own, grid)
    values[~inside] = fill
    return values, inside


def _sample_aligned(array: np.ndarray, own: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Sample if the axes agree, as in most PET/CT: three small matrix products, ten times as fast as free sampling."""
    weights = [
        linear_weights(array.shape[2 - a], own[a, a], -own[a, 3], grid.shape[2 - a], grid.spacing[a]) for a in (2, 1, 0)
    ]
    seen = [w.any(axis=1) for w in weights]
    inside = seen[0][:, None, None] & seen[1][None, :, None] & seen[2][None, None, :]
    return apply_separable(array, tuple(weights)), inside


def _sample_turned(array: np.ndarray, own: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import gaussian_filter, map_coordinates

    array = np.asarray(array, dtype=np.float32)
    spacing = np.linalg.norm(own[:3, :3], axis=0)
    sigma = np.sqrt(np.maximum(float(np.mean(grid.spacing)) ** 2 - spacing**2, 0) / 12) / spacing
    if np.any(sigma > 0.2):
        array = gaussian_filter(array, sigma[::-1], mode="nearest", truncate=3.0)
    to_index = np.linalg.inv(own)
    d, h, w = (np.arange(n) * step for n, step in zip(grid.shape, grid.spacing[::-1], strict=True))
    index = [
        to_index[row, 0] * w[None, None, :]
        + to_index[row, 1] * h[None, :, None]
        + to_index[row, 2] * d[:, None, None]
        + to_index[row, 3]
        for row in (2, 1, 0)
    ]
    inside = np.ones(grid.shape, dtype=bool)
    for coordinate, n in zip(index, array.shape, strict=True):
        inside &= (coordinate >= -0.5 - 1e-6) & (coordinate <= n - 0.5 + 1e-6)
    return map_coordinates(array, index, order=1, mode="nearest", output=np.float32), inside
