"""The points at which a phantom is evaluated: a scanner's or a network's grid, in the patient's own coordinates."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Lattice:
    """Sorted coordinates (mm) along x (right), y (anterior) and z (superior) of an axis-aligned box of voxels.

    Arrays on it are (D, H, W) = (z, y, x). An oblique scan is such a box with an oblique transform to the world.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def regular(cls, low: np.ndarray, spacing: np.ndarray, shape: tuple[int, int, int]) -> Lattice:
        """low: (3,) first center (x, y, z), mm; spacing: (3,) mm (x, y, z); shape: (D, H, W)."""
        n = shape[::-1]
        x, y, z = ((low[a] + spacing[a] * np.arange(n[a])).astype(np.float32) for a in range(3))
        return cls(x, y, z)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm: x, y, z."""
        return np.array([float(a[1] - a[0]) if len(a) > 1 else 1.0 for a in (self.x, self.y, self.z)])

    @cached_property
    def _axes(self) -> tuple[list[float], list[float], list[float]]:
        """z, y, x as lists of floats, in which boxes are searched."""
        return self.z.tolist(), self.y.tolist(), self.x.tolist()

    def box(self, low: np.ndarray, high: np.ndarray, pad_mm: float = 0.0) -> tuple[slice, slice, slice] | None:
        """Return slices (z, y, x) of the centers inside a box of mm corners, or None if there are none."""
        slices = []
        for axis, lo, hi in zip(self._axes, low[::-1], high[::-1], strict=True):
            start, stop = bisect_left(axis, float(lo - pad_mm)), bisect_left(axis, float(hi + pad_mm))
            if stop <= start:
                return None
            slices.append(slice(start, stop))
        return tuple(slices)

    def boxes(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the starts and the stops (n, 3: z, y, x) of the slices that `box` finds for each of n boxes.

        low, high: (n, 3) corners (x, y, z), mm. A box without centers has a stop at or below its start.
        """
        ends = [
            [np.searchsorted(axis, at[:, 2 - number]) for number, axis in enumerate(self._axes)] for at in (low, high)
        ]
        return np.stack(ends[0], axis=1), np.stack(ends[1], axis=1)

    def coordinates(self, box: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return broadcastable x (1,1,W), y (1,H,1), z (D,1,1) of a box."""
        sz, sy, sx = box
        return self.x[None, None, sx], self.y[None, sy, None], self.z[sz, None, None]
