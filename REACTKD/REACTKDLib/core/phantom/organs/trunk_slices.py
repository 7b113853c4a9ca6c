"""Painting the trunk slice by slice: air, skin, fat, muscle, diaphragm and lungs; and the table."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.organs.wall import DEEP_MM, Trunk

_SKIN_MM = 2.0


def paint_trunk(painter: Painter, trunk: Trunk) -> tuple[tuple[slice, slice, slice], np.ndarray] | None:
    """Fill the whole field. Beyond the body there is air.

    Returns the box of the body and the depth below the muscles' face in it (H, W), or None where there is no body.
    """
    lattice, field = painter.lattice, painter.field
    air, skin, fat, muscle = (
        np.float32(painter.value(kind, hu))
        for kind, hu in (("air", -1000.0), ("skin", 30.0), ("fat", -104.0), ("muscle", 57.0))
    )
    field[:] = air
    wide, deep = trunk.half
    box = lattice.box(np.array([-wide - 4, -deep - 4, -1e4]), np.array([wide + 4, deep + 4, 1e4]))
    if box is None:
        return None
    x, y = lattice.x[None, box[2]], lattice.y[box[1], None]
    depth, front = trunk.muscle_depth(x, y), trunk.front(x, y)
    subcutis, wall = trunk.subcutis(x, y), trunk.wall(x, y)
    seams = (np.minimum(np.abs(depth - 0.36 * wall), np.abs(depth - 0.68 * wall)) < 0.7) & (np.abs(x) > 62)
    seams = np.float32(-38.0 if painter.tracer is None else 0.0) * seams  # fat between the three flat muscles
    lung = _Lung(painter, trunk, x, y, depth - wall)
    edge = np.float32(painter.edge_mm)
    for k, z in enumerate(lattice.z):
        own = depth + np.float32(trunk.bulge(float(z))) * front
        slab = field[k, box[1], box[2]]
        slab += (skin - air) * _soft(own + subcutis, edge)
        slab += (fat - skin) * _soft(own + subcutis - np.float32(_SKIN_MM), edge)
        inner = own - wall
        within = _soft(inner, edge)
        slab += (muscle - fat) * (_soft(own, edge) - within) + seams * (own > 0) * (inner < 0)
        lung.paint(slab, float(z), inner)
    return box, depth


def _soft(depth: np.ndarray, edge: np.float32) -> np.ndarray:
    return np.clip(depth / edge + np.float32(0.5), 0, 1)


class _Lung:
    """Diaphragm and lung of one slice after the other."""

    def __init__(self, painter: Painter, trunk: Trunk, x: np.ndarray, y: np.ndarray, cavity: np.ndarray):
        self.painter, self.dome = painter, trunk.diaphragm(x, y, cavity)
        steps = [np.gradient(axis.ravel()) if axis.size > 1 else np.ones(1) for axis in (y, x)]
        slopes = [g / s for g, s in zip(np.gradient(self.dome), (steps[0][:, None], steps[1][None, :]), strict=True)]
        self.steep = (1 / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)).astype(np.float32)
        own_x, own_y = x / float(trunk.scale[0]), y / float(trunk.scale[1])
        middle = 20 + 12 * np.exp(-(((own_y + 52) / 30) ** 2)) + 10 * np.clip(own_y / 60, 0, 1)
        self.beside = (np.abs(own_x + 5 * np.clip(own_y / 50, 0, 1)) - middle).astype(np.float32)
        self.lowest = float(self.dome[cavity > 0].min(initial=np.inf)) - 6

    def paint(self, slab: np.ndarray, z: float, inner: np.ndarray) -> None:
        """Blend into a slice (H, W)."""
        if z < self.lowest:
            return
        edge = np.float32(max(self.painter.edge_mm, 1.0))
        above = (np.float32(z) - self.dome) * self.steep
        sheet = _soft(np.minimum(inner, 1.8 - np.abs(above)), edge)
        slab += (np.float32(self.painter.value("muscle", 55.0)) - slab) * sheet
        air = _soft(np.minimum(np.minimum(inner - 1.5, above - 1.8), self.beside), edge)
        slab += (np.float32(self.painter.value("lung", -845.0)) - slab) * air


def paint_table(painter: Painter, trunk: Trunk) -> None:
    """A curved carbon shell with foam inside, under the back."""
    deep = DEEP_MM * float(trunk.scale[1]) + trunk.fat_mm
    top, half = -deep - 14.0, 0.64 * trunk.half[0]
    box = painter.lattice.box(np.array([-210.0, top - 34, -1e4]), np.array([210.0, top + 40, 1e4]))
    if box is None:
        return
    x, y, _ = painter.lattice.coordinates(box)
    height = y - (top + x * x / np.float32(2300.0))
    depth = np.minimum(np.minimum(-height, height + 15), half - np.abs(x))
    air = painter.field[box] < -900  # never on the patient
    for inset, hu in ((0.0, 70.0), (1.6, -960.0)):
        painter.put(box, painter.soft(depth - inset) * air, "table", np.float32(hu))
