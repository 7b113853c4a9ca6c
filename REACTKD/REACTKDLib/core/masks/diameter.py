"""The longest axial diameter of a lesion, as in RECIST 1.1: the longest line within any one axial slice.

Slices are those of the image on whose grid the masks are, across the axis closest to S. The border lies halfway between
the centers of a voxel inside and its neighbor outside, so that the diameter of a single voxel is its width and that of
a digitized disk is that of the circle.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.geometry import nearest_ras_axes


def longest_axial_diameter(mask: np.ndarray, ijk_to_ras: np.ndarray) -> float:
    """Return the diameter in mm of a bool mask (D, H, W) on the grid of `ijk_to_ras` (4, 4); 0 for an empty mask.

    Source: RECIST 1.1, doi:10.1016/j.ejca.2008.10.026.
    """
    across = nearest_ras_axes(ijk_to_ras)[0][2]
    rows, columns = (axis for axis in (2, 1, 0) if axis != across)  # image axes of the slices' array axes, in order
    planes = np.moveaxis(mask, 2 - across, 0)
    steps = ijk_to_ras[:3, [rows, columns]]
    drawn_rows, drawn_columns = planes.any(axis=2), planes.any(axis=1)
    limits = _length(drawn_rows) * np.linalg.norm(steps[:, 0]) + _length(drawn_columns) * np.linalg.norm(steps[:, 1])
    longest = 0.0
    for n in np.argsort(-limits):
        if limits[n] <= longest:
            break
        points = _border(planes[n]) @ steps.T
        square = (points**2).sum(axis=1)
        apart = square[:, None] + square[None, :] - 2 * points @ points.T
        longest = max(longest, float(np.sqrt(max(apart.max(), 0.0))))
    return longest


def _length(lines: np.ndarray) -> np.ndarray:
    """Return the length from the first to the last true value of each row, in voxels; 0 for a row without any."""
    first, last = lines.argmax(axis=1), lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    return np.where(lines.any(axis=1), last - first, 0)


def _border(plane: np.ndarray) -> np.ndarray:
    """Return points (n, 2), row and column, that include both ends: the outermost border of each row and column.

    They are relative to the plane's center, so that squared millimeters keep their precision.
    """
    ends = []
    for axis in (1, 0):
        lines = np.flatnonzero(plane.any(axis=axis))
        drawn = plane.take(lines, axis=1 - axis)
        first = drawn.argmax(axis=axis) - 0.5
        last = drawn.shape[axis] - 0.5 - np.flip(drawn, axis=axis).argmax(axis=axis)
        for end in (first, last):
            ends.append(np.stack((lines, end) if axis == 1 else (end, lines), axis=1))
    points = np.concatenate(ends)
    return points - np.array(plane.shape) / 2
