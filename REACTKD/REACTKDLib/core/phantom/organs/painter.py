"""Blending soft shapes into a field, on CT in HU and on PET in uptake, by the same calls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.parts import UPTAKE, Layer, Part
from REACTKDLib.core.phantom.shapes import soft_inside

TRACERS = ("fdg", "acetate")


@lru_cache
def _unrest() -> np.ndarray:
    """A periodic field of lumps and holes, (n, n, n) of 1 mm, mean 0 and standard deviation 1; the same for all."""
    from scipy.ndimage import gaussian_filter

    white = np.random.default_rng(20261128).standard_normal((48, 48, 48))
    field = sum(gaussian_filter(white, s, mode="wrap") * s**1.5 for s in (1.2, 2.6))
    return np.minimum(field / field.std(), 1.2).astype(np.float32)  # bubbles go deep, lumps are all alike


def mottle(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The unrest of stool and food at points (n,)."""
    field = _unrest()
    z, y, x = (np.floor(a).astype(np.intp) % len(field) for a in (z + 0.3 * x, y + 0.2 * z, x + 0.2 * y))
    return field[z, y, x]


@dataclass(eq=False)
class Painter:
    """field: (D, H, W) float32 on `lattice`. tracer: None for CT. suv: of normal liver. edge_mm: of boundaries."""

    field: np.ndarray
    lattice: Lattice
    edge_mm: float
    tracer: str | None = None
    suv: float = 1.0

    def value(self, kind: str, hu):
        """What a tissue shows: its HU, or its uptake."""
        return hu if self.tracer is None else UPTAKE[kind][TRACERS.index(self.tracer)] * self.suv

    def soft(self, depth: np.ndarray) -> np.ndarray:
        """Share of a voxel that is inside."""
        return soft_inside(depth, self.edge_mm).astype(np.float32, copy=False)

    def put(self, box, weight: np.ndarray, kind: str, hu) -> None:
        """Blend a tissue in."""
        part = self.field[box]
        part += (np.float32(self.value(kind, hu)) - part) * weight

    def put_columns(self, rows: np.ndarray, columns: np.ndarray, weight: np.ndarray, kind: str, hu) -> None:
        """The same at places (n,) of every slice; weight: (D, n), hu: (n,) or a number."""
        old = self.field[:, rows, columns]
        self.field[:, rows, columns] = old + (self.value(kind, hu) - old) * weight

    def part(self, part: Part) -> None:
        """An organ with its layers."""
        box = self.lattice.box(*part.solid.bounds())
        if box is None:
            return
        x, y, z = self.lattice.coordinates(box)
        depth = part.solid.depth(x, y, z)
        self.put(box, self.soft(depth), part.kind, np.float32(part.hu))
        for layer in part.layers:
            self._layer(box, (x, y, z), depth, layer)

    def _layer(self, box, points, depth: np.ndarray, layer: Layer) -> None:
        inside = depth - np.float32(layer.inset)
        if layer.above is not None:
            inside = np.minimum(inside, points[1] - np.float32(layer.above))
        if layer.solid is not None:
            inside = np.minimum(inside, layer.solid.depth(*points))
        weight = self.soft(inside)
        self.put(box, weight, layer.kind, np.float32(layer.hu))
        if layer.mottle:
            self.unrest(box, weight, layer.mottle)

    def unrest(self, box, weight: np.ndarray, hu: float) -> None:
        """Add lumps and holes of `hu` standard deviation, on CT alone."""
        if self.tracer is None:
            k, j, i = np.nonzero(weight)
            x, y, z = (a.ravel() for a in self.lattice.coordinates(box))
            self.field[box][k, j, i] += np.float32(hu) * weight[k, j, i] * mottle(x[i], y[j], z[k])

    def tube(self, tube, kind: str, hu: float, within: np.ndarray | None = None, offset=(0, 0, 0)) -> None:
        """A tube; within: a soft mask on the box that starts at `offset` (z, y, x), which bounds it."""
        box = self.lattice.box(*tube.bounds(), pad_mm=self.edge_mm)
        if box is None:
            return
        if within is not None:
            low = [max(s.start, o) for s, o in zip(box, offset, strict=True)]
            high = [min(s.stop, o + n) for s, o, n in zip(box, offset, within.shape, strict=True)]
            if any(b <= a for a, b in zip(low, high, strict=True)):
                return
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        weight = self.soft(tube.depth(*self.lattice.coordinates(box)))
        if within is not None:
            weight = weight * within[tuple(slice(s.start - o, s.stop - o) for s, o in zip(box, offset, strict=True))]
        self.put(box, weight, kind, np.float32(hu))
