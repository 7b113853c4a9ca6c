"""A smooth solid stored as its depth on a coarse grid: cheap to cut, to grow and to evaluate on a scan's grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.phantom.lattice import Lattice

STEP_MM = 4.0
#: outside its box a solid has this depth
FAR_MM = -16.0
_PIECE = 150_000  # voxels: arrays of this size fit in the processor's cache


@dataclass(frozen=True, eq=False)
class GridSolid:
    """depth (z, y, x) float32 mm, positive inside, on `grid`, interpolated linearly.

    Linear interpolation preserves order: if one solid was cut by another at the grid points, the two overlap nowhere in
    between.
    """

    grid: Lattice
    values: np.ndarray

    @classmethod
    def cropped(cls, grid: Lattice, values: np.ndarray) -> GridSolid | None:
        """Return the solid cropped to the box where a depth on a large grid is inside, and one step around it; None if
        it is nowhere.
        """
        box = bounding_box(values > -2.0)
        if box is None:
            return None
        z, y, x = (slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        own = Lattice(grid.x[x], grid.y[y], grid.z[z])
        return cls(own, np.ascontiguousarray(values[z, y, x], dtype=np.float32))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        axes = (self.grid.x, self.grid.y, self.grid.z)
        return np.array([a[0] for a in axes], float), np.array([a[-1] for a in axes], float)

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the depth at broadcastable coordinates: on an axis-aligned lattice by axes, at scattered points one by
        one.
        """
        x, y, z = (np.asarray(a, dtype=np.float32) for a in (x, y, z))
        if x.ndim == 3 and x.shape[:2] == (1, 1) and y.shape[::2] == (1, 1) and z.shape[1:] == (1, 1):
            return self._on_axes(x.ravel(), y.ravel(), z.ravel())
        from scipy.ndimage import map_coordinates

        axes = ((self.grid.z, z), (self.grid.y, y), (self.grid.x, x))
        places = np.broadcast_arrays(*[(at - own[0]) / (own[1] - own[0]) for own, at in axes])
        return map_coordinates(self.values, places, order=1, mode="constant", cval=FAR_MM, output=np.float32)

    def _on_axes(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Depth (len(z), len(y), len(x)) on the lattice of these coordinates; `FAR_MM` outside the solid's grid."""
        places = [_Places.of(own, at) for own, at in ((self.grid.z, z), (self.grid.y, y), (self.grid.x, x))]
        values = _between(self.values, places)
        for axis, own in enumerate(places):
            if own.outside is not None:
                values[(slice(None),) * axis + (own.outside,)] = FAR_MM
        return values

    def pieces(self, lattice: Lattice, above_mm: float) -> Iterator[tuple[tuple[slice, slice, slice], np.ndarray]]:
        """Yield disjoint boxes of `lattice` in which the depth may exceed `above_mm`, and the depth in each.

        A colon, for example, fills a tenth of its bounding box. The depths are identical to those of `depth`, bit by
        bit.
        """
        box = lattice.box(*self.bounds())
        if box is None:
            return
        axes = (self.grid.z, self.grid.y, self.grid.x)
        places = [_Places.of(o, at[b]) for o, at, b in zip(axes, (lattice.z, lattice.y, lattice.x), box, strict=True)]
        size = math.prod(len(own.low) for own in places)
        if size < _PIECE:
            yield box, _between(self.values, places)
            return
        inside = self.values > above_mm
        first, last = int(places[0].low[0]), int(places[0].low[-1]) + 1
        step = max(-(-(last - first) * _PIECE // size), 1)
        for start in range(first, last, step):
            slab = places[0].part(start, start + step)
            corners = inside[start : start + step + 1].any(axis=0)
            cells = corners[1:] | corners[:-1]
            cells = cells[:, 1:] | cells[:, :-1]
            if slab is None or not cells.any():
                continue
            for left, right in _runs(cells.any(axis=0)):
                rows = np.flatnonzero(cells[:, left:right].any(axis=1))
                own = slab, places[1].part(int(rows[0]), int(rows[-1]) + 1), places[2].part(left, right)
                if own[1] is not None and own[2] is not None:
                    parts = zip(box, own, strict=True)
                    where = tuple(slice(b.start + p.first, b.start + p.first + len(p.low)) for b, p in parts)
                    yield where, _between(self.values, own)


def _runs(hits: np.ndarray) -> list[tuple[int, int]]:
    """Return the start and end (exclusive) of each run of true values (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]]))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


@dataclass(frozen=True, eq=False)
class _Places:
    """Positions of points along one axis in a solid's grid: in cell `low`, at the fraction `weight` of it (n,).

    outside: points beyond the grid, None if there are none. first: index of the first point. Plain functions of NumPy
    are avoided where methods do the same, since for most solids the calls take longer than the work.
    """

    low: np.ndarray
    weight: np.ndarray
    outside: np.ndarray | None
    first: int = 0

    @classmethod
    def of(cls, own: np.ndarray, at: np.ndarray) -> _Places:
        place = (at - own[0]) / (own[1] - own[0])
        low = np.floor(place)
        low.clip(0, len(own) - 2, out=low)
        weight = place - low
        weight.clip(0, 1, out=weight)
        outside = (place < 0) | (place > len(own) - 1)
        return cls(low.astype(np.intp), weight.astype(np.float32, copy=False), outside if outside.any() else None)

    def part(self, start: int, stop: int) -> _Places | None:
        """Return those in cells `start` to `stop` - 1, of sorted points inside the grid; None if there are none."""
        a, b = np.searchsorted(self.low, (start, stop)).tolist()
        return _Places(self.low[a:b], self.weight[a:b], None, a) if b > a else None


def _between(values: np.ndarray, places: Sequence[_Places]) -> np.ndarray:
    """Interpolate (d, h, w) linearly along z, then y, then x."""
    cells = tuple(slice(int(p.low.min()), int(p.low.max()) + 2) for p in places)
    values = values[cells]
    for axis, (own, cell) in enumerate(zip(places, cells, strict=True)):
        before = (slice(None),) * axis
        # differences are computed on the coarse grid, once for each cell
        steps = values[(*before, slice(1, None))] - values[(*before, slice(None, -1))]
        low = own.low - cell.start
        out = steps.take(low, axis=axis)
        out *= own.weight.reshape(-1, *(1,) * (2 - axis))
        out += values.take(low, axis=axis)
        values = out
    return values
