"""Blends soft shapes into a field, on CT in HU and on PET in uptake, with the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from REACTKDLib.core.images.geometry import Box, bounding_box
from REACTKDLib.core.phantom.anatomy import TRACERS
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.parts import UPTAKE, Layer, Part
from REACTKDLib.core.phantom.organs.tubes import tube_voxels, turns
from REACTKDLib.core.phantom.shapes import Tube, soft_inside


@lru_cache
def _unrest() -> np.ndarray:
    """Return a periodic texture of lumps and holes, (n, n, n) of 1 mm, mean 0 and standard deviation 1; always the
    same.
    """
    from scipy.ndimage import gaussian_filter

    white = np.random.default_rng(20261128).standard_normal((48, 48, 48))
    field = sum(gaussian_filter(white, s, mode="wrap") * s**1.5 for s in (1.2, 2.6))
    return np.minimum(field / field.std(), 1.2).astype(np.float32)  # bubbles are deep, lumps have equal height


def mottle(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the texture of stool and food, (D, H, W). x: (1, 1, W), y: (1, H, 1), z: (D, 1, 1) mm."""
    field = _unrest()
    n = len(field)
    # each index depends on two coordinates only, so most of the work is on planes
    k, j, i = (np.floor(a).astype(np.intp) % n for a in (z + 0.3 * x, y + 0.2 * z, x + 0.2 * y))
    place = k * (n * n) + j * n
    place += i
    return field.ravel().take(place)


def _common(box: Box, other: Box | None) -> Box:
    """Return the slices inside `box` that are in another box too; empty ones if the other is None."""
    if other is None:
        return (slice(0, 0),) * 3
    ends = ((b.start, max(b.start, o.start), min(b.stop, o.stop)) for b, o in zip(box, other, strict=True))
    return tuple(slice(low - start, max(low, high) - start) for start, low, high in ends)


def _inner(box: Box, part: Box) -> Box:
    """Return the box of slices `part` inside `box`."""
    return tuple(slice(b.start + p.start, b.start + p.stop) for b, p in zip(box, part, strict=True))


@dataclass(eq=False)
class Painter:
    """field: (D, H, W) float32 on `lattice`, C-contiguous. tracer: None for CT. suv: of normal liver. edge_mm: width of
    boundaries.
    """

    field: np.ndarray
    lattice: Lattice
    edge_mm: float
    tracer: str | None = None
    suv: float = 1.0

    def value(self, kind: str, hu):
        """Return the value of a tissue: its HU, or its uptake."""
        return hu if self.tracer is None else UPTAKE[kind][TRACERS.index(self.tracer)] * self.suv

    def soft(self, depth: np.ndarray) -> np.ndarray:
        """Share of a voxel that is inside."""
        return soft_inside(depth, self.edge_mm).astype(np.float32, copy=False)

    @property
    def reach_mm(self) -> float:
        """Depth at and below which `soft` is 0, with a margin for rounding."""
        return -0.5 * self.edge_mm - 1e-3

    def put(self, box, weight: np.ndarray, kind: str, hu) -> None:
        """Blend a tissue in."""
        self.blend(box, weight, np.float32(self.value(kind, hu)))

    def blend(self, box, weight: np.ndarray, value: np.float32) -> None:
        """Blend a value in."""
        part = self.field[box]
        step = value - part
        step *= weight
        part += step

    def part(self, part: Part) -> None:
        """Paint an organ with its layers."""
        for box, depth in part.solid.pieces(self.lattice, self.reach_mm):
            self.put(box, self.soft(depth), part.kind, np.float32(part.hu))
            for layer in part.layers:
                self._layer(box, depth, layer)

    def _layer(self, box, depth: np.ndarray, layer: Layer) -> None:
        if layer.solid is not None:  # most layers fill a small part of their organ
            part = _common(box, self.lattice.box(*layer.solid.bounds(), pad_mm=1e-3))
            box, depth = _inner(box, part), depth[part]
            if not depth.size:
                return
        inside = depth - np.float32(layer.inset)
        points = self.lattice.coordinates(box)
        if layer.above is not None:
            np.minimum(inside, points[1] - np.float32(layer.above), out=inside)
        if layer.solid is not None:
            np.minimum(inside, layer.solid.depth(*points), out=inside)
        part = bounding_box(inside > self.reach_mm)
        if part is None:
            return
        box, weight = _inner(box, part), self.soft(inside[part])
        self.put(box, weight, layer.kind, np.float32(layer.hu))
        if layer.mottle:
            self.unrest(box, weight, layer.mottle)

    def unrest(self, box, weight: np.ndarray, hu: float) -> None:
        """Add the texture of lumps and holes with a standard deviation of `hu`, on CT only."""
        if self.tracer is None:
            self.field[box] += np.float32(hu) * weight * mottle(*self.lattice.coordinates(box))

    def put_columns(self, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray, kind: str, hu, first=0) -> None:
        """Blend a tissue in at positions (n,) of d slices from `first` on; depth: (d, n) mm, hu: (n,) or a number."""
        hit = np.flatnonzero(depth > self.reach_mm)
        k = hit // len(rows)
        n = hit - k * len(rows)
        if np.ndim(hu):
            hu = hu[n]
        flat = self.field[first : first + len(depth)].reshape(-1)  # with one index, NumPy takes half of the time
        place = (rows * self.field.shape[2] + columns)[n]
        place += k * self.field[0].size
        old = flat[place]
        flat[place] = old + (self.value(kind, hu) - old) * self.soft(depth.ravel()[hit])

    def tubes(self, tubes: Sequence[Tube], kind: str, hu: float, within: np.ndarray | None = None) -> None:
        """Paint tubes, one after the other; within: a soft mask (D, H, W) on the lattice that limits them."""
        flat, value = self.field.reshape(-1), np.float32(self.value(kind, np.float32(hu)))
        for place, depth in tube_voxels(tubes, self.lattice, -self.reach_mm):
            weight = self.soft(depth)
            hit = np.flatnonzero(weight)
            place, weight = place[hit], weight[hit]
            if within is not None:
                weight *= within.reshape(-1)[place]
            for turn in turns(place):
                own = place[turn]
                old = flat[own]
                flat[own] = old + (value - old) * weight[turn]
