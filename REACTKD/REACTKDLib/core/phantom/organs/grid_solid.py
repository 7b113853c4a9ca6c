"""A smooth solid held as its depth on a coarse grid: cheap to cut, to grow and to evaluate on any scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.lattice import Lattice

STEP_MM = 4.0
#: outside its box a solid has this depth
FAR_MM = -16.0


@dataclass(frozen=True, eq=False)
class GridSolid:
    """depth (z, y, x) float32 mm, positive inside, at `grid`; between its points it is linear.

    Linear interpolation keeps an order: where one solid was cut by another at the points of the grid, the two overlap
    nowhere between them either.
    """

    grid: Lattice
    values: np.ndarray

    @classmethod
    def cropped(cls, grid: Lattice, values: np.ndarray) -> GridSolid | None:
        """Of a depth on a large grid, the box where it is inside and one step around it; None where it is nowhere."""
        slices = []
        for axis in range(3):
            inside = np.flatnonzero((values > -2.0).any(axis=tuple(a for a in range(3) if a != axis)))
            if not inside.size:
                return None
            slices.append(slice(max(int(inside[0]) - 1, 0), int(inside[-1]) + 2))
        z, y, x = slices
        own = Lattice(grid.x[x], grid.y[y], grid.z[z])
        return cls(own, np.ascontiguousarray(values[z, y, x], dtype=np.float32))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        axes = (self.grid.x, self.grid.y, self.grid.z)
        return np.array([a[0] for a in axes], float), np.array([a[-1] for a in axes], float)

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Depth at broadcastable coordinates: on an axis-aligned lattice by axes, at scattered points one by one."""
        x, y, z = (np.asarray(a, dtype=np.float32) for a in (x, y, z))
        if x.ndim == 3 and x.shape[:2] == (1, 1) and y.shape[::2] == (1, 1) and z.shape[1:] == (1, 1):
            values = self.values
            for axis, (own, at) in enumerate(((self.grid.z, z), (self.grid.y, y), (self.grid.x, x))):
                values = _along(values, own, at.ravel(), axis)
            return values
        from scipy.ndimage import map_coordinates

        axes = ((self.grid.z, z), (self.grid.y, y), (self.grid.x, x))
        places = np.broadcast_arrays(*[(at - own[0]) / (own[1] - own[0]) for own, at in axes])
        return map_coordinates(self.values, places, order=1, mode="constant", cval=FAR_MM, output=np.float32)


def _along(values: np.ndarray, own: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate along one axis; `FAR_MM` beyond its ends."""
    place = (at - own[0]) / (own[1] - own[0])
    low = np.clip(np.floor(place).astype(np.intp), 0, len(own) - 2)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = np.clip(place - low, 0, 1).astype(np.float32).reshape(shape)
    first = np.take(values, low, axis=axis)
    second = np.take(values, low + 1, axis=axis)
    second -= first
    second *= weight
    second += first
    outside = (place < 0) | (place > len(own) - 1)
    if outside.any():
        index = [slice(None)] * 3
        index[axis] = outside
        second[tuple(index)] = FAR_MM
    return second
