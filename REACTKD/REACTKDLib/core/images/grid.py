"""A grid: a shape and a position, without values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

#: a part of an array (D, H, W): the slices of k, j and i
Box = tuple[slice, slice, slice]


def box_key(box: Box) -> tuple[int, ...]:
    """Return the limits of a box as a dictionary key: slices are not hashable in Python 3.11."""
    return tuple(limit for part in box for limit in (part.start, part.stop))


def joined(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that contains all boxes, at least one."""
    return tuple(slice(min(b[n].start for b in boxes), max(b[n].stop for b in boxes)) for n in range(3))


def corners_of(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the indices (8, 4) of the corner voxels of an array (D, H, W): i, j, k and 1."""
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return corners * [*(n - 1 for n in shape[::-1]), 1]


def farthest_apart(shape: tuple[int, int, int], a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest distance, mm, between the positions of a voxel of an array (D, H, W) by two matrices (4,
    4).
    """
    return float(np.linalg.norm((corners_of(shape) @ (a - b).T)[:, :3], axis=1).max())


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centers in patient space. shape: (D, H, W). ijk_to_ras: (4, 4), mm."""

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm, in the order i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000

    def part(self, box: Box) -> Grid:
        """Return the grid of the voxels of `box`."""
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] += matrix[:3, :3] @ np.array([s.start for s in box[::-1]], dtype=float)
        return Grid(tuple(s.stop - s.start for s in box), matrix)

    def grown(self, others: Iterable[Grid]) -> Grid:
        """Return this lattice, extended to contain the voxel centers of `others` too, and every own voxel center that
        lies in their outermost voxels.
        """
        low, high = np.zeros(3), np.array(self.shape[::-1]) - 1.0
        to_edge = (corners_of((2, 2, 2)) - 0.5) * [1, 1, 1, 0]
        for other in others:
            centers, matrix = corners_of(other.shape), (np.linalg.inv(self.ijk_to_ras) @ other.ijk_to_ras).T
            placed, edges = ((points @ matrix)[:, :3] for points in (centers, centers + to_edge))
            low = np.minimum(low, np.minimum(np.floor(placed.min(axis=0) + 1e-3), np.ceil(edges.min(axis=0) - 1e-3)))
            high = np.maximum(high, np.maximum(np.ceil(placed.max(axis=0) - 1e-3), np.floor(edges.max(axis=0) + 1e-3)))
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = (matrix @ [*low, 1.0])[:3]
        return Grid(tuple(int(n) for n in (high - low + 1)[::-1]), matrix)

    def same_as(self, other: Grid) -> bool:
        """Return True if shape and position agree, to 1e-6 mm."""
        return self.shape == other.shape and bool(np.allclose(self.ijk_to_ras, other.ijk_to_ras, rtol=0, atol=1e-6))
