"""Painting the trunk slice by slice: air, skin, fat, muscle, diaphragm and lungs; and the table."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.organs.wall import DEEP_MM, Trunk
from REACTKDLib.core.phantom.shapes import soft_inside

_SKIN_MM = 2.0
_ROUNDING_MM = 1e-2  # voxels farther than this from an edge are unaffected by it in every slice, with any rounding


def paint_trunk(painter: Painter, trunk: Trunk) -> tuple[tuple[slice, slice, slice], np.ndarray] | None:
    """Fill the whole field; outside the body there is air.

    Returns the box of the body and the depth below the muscles' face in it (H, W), or None if there is no body.
    """
    lattice, field = painter.lattice, painter.field
    air, skin, fat, muscle = (
        np.float32(painter.value(kind, hu))
        for kind, hu in (("air", -1000.0), ("skin", 30.0), ("fat", -104.0), ("muscle", 57.0))
    )
    wide, deep = trunk.half
    box = lattice.box(np.array([-wide - 4, -deep - 4, -1e4]), np.array([wide + 4, deep + 4, 1e4]))
    if box is None or field[0, box[1], box[2]].size < field[0].size:
        field[:] = air
    if box is None:
        return None
    x, y = lattice.x[None, box[2]], lattice.y[box[1], None]
    depth, front = trunk.muscle_depth(x, y), trunk.front(x, y)
    subcutis, wall = trunk.subcutis(x, y), trunk.wall(x, y)
    seams = (np.minimum(np.abs(depth - 0.36 * wall), np.abs(depth - 0.68 * wall)) < 0.7) & (np.abs(x) > 62)
    seams = np.float32(-38.0 if painter.tracer is None else 0.0) * seams  # fat between the three flat muscles
    lung = _Lung(painter, trunk, x, y, depth - wall)
    edge = np.float32(painter.edge_mm)
    bulges = [np.float32(trunk.bulge(float(z))) for z in lattice.z]
    least, most = depth + min(bulges) * front, depth + max(bulges) * front
    reach = edge / 2 + np.float32(_ROUNDING_MM)
    inside = least - wall > reach
    band = np.flatnonzero(~inside & (most + subcutis >= -reach))  # the wall; elsewhere all slices are alike
    alike = np.where(inside, air + (skin - air) + (fat - skin), air)

    def wall_at(places: np.ndarray) -> _Wall:
        return _Wall((skin - air, fat - skin, muscle - fat), edge, [a.ravel()[places] for a in (subcutis, wall, seams)])

    moves = front.ravel()[band] != 0  # the belly; at sides and back the wall is the same in every slice
    fixed, band = band[~moves], band[moves]
    alike.ravel()[fixed] = wall_at(fixed).value(air, depth.ravel()[fixed])
    wall_of = wall_at(band)
    cavity = lung.within(np.flatnonzero(most - wall >= -reach - 1))
    on_band, on_cavity = ([a.ravel()[w] for a in (front, depth, wall)] for w in (band, cavity))
    slab, inner = np.empty_like(alike), np.empty(len(cavity), np.float32)
    for k, (z, bulge) in enumerate(zip(lattice.z, bulges, strict=True)):
        slab[:] = alike
        slab.ravel()[band] = wall_of.value(air, bulge * on_band[0] + on_band[1])
        count = lung.reached(float(z))
        if count:
            ahead, at, thick = (a[:count] for a in on_cavity)
            own = np.multiply(ahead, bulge, out=inner[:count])
            own += at
            own -= thick
            lung.paint(slab, float(z), own)
        field[k, box[1], box[2]] = slab
    return box, depth


class _Wall:
    """Skin, fat and muscle at positions (n,) of a slice. steps: change of the value at each boundary, from outside."""

    def __init__(self, steps: tuple[np.float32, ...], edge: np.float32, at: list[np.ndarray]):
        self.steps, self.edge = steps, edge
        self.subcutis, self.wall, seams = at
        self.seam = np.flatnonzero(seams)
        self.seams, self.seam_wall = seams[self.seam], self.wall[self.seam]
        self.skin, self.fat = (np.empty_like(self.wall) for _ in range(2))

    def value(self, air: np.float32, own: np.ndarray) -> np.ndarray:
        """Return the values in a slice. own: depth below the muscles' face, which is overwritten."""
        skin, fat, muscle = self.steps
        value, part = self.skin, self.fat
        np.add(own, self.subcutis, out=value)
        np.subtract(value, np.float32(_SKIN_MM), out=part)
        at_seam = own[self.seam]
        between = self.seams * (at_seam > 0) * (at_seam - self.seam_wall < 0)
        soft_inside(value, self.edge, out=value)
        value *= skin
        value += air
        soft_inside(part, self.edge, out=part)
        part *= fat
        value += part
        inner = np.subtract(own, self.wall, out=part)
        soft_inside(own, self.edge, out=own)
        own -= soft_inside(inner, self.edge, out=inner)
        own *= muscle
        own[self.seam] += between
        value += own
        return value


class _Lung:
    """Paints diaphragm and lung, one slice after the other."""

    def __init__(self, painter: Painter, trunk: Trunk, x: np.ndarray, y: np.ndarray, cavity: np.ndarray):
        self.painter, self.dome = painter, trunk.diaphragm(x, y, cavity)
        steps = [np.gradient(axis.ravel()) if axis.size > 1 else np.ones(1) for axis in (y, x)]
        slopes = [g / s for g, s in zip(np.gradient(self.dome), (steps[0][:, None], steps[1][None, :]), strict=True)]
        self.steep = (1 / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)).astype(np.float32)
        own_x, own_y = x / float(trunk.scale[0]), y / float(trunk.scale[1])
        middle = 20 + 12 * np.exp(-(((own_y + 52) / 30) ** 2)) + 10 * np.clip(own_y / 60, 0, 1)
        self.beside = (np.abs(own_x + 5 * np.clip(own_y / 50, 0, 1)) - middle).astype(np.float32)
        self.lowest = float(self.dome[cavity > 0].min(initial=np.inf)) - 6
        self.edge = np.float32(max(painter.edge_mm, 1.0))
        self.places = self.first = self.work = np.zeros(0)

    def within(self, places: np.ndarray) -> np.ndarray:
        """Restrict to these positions (n,) of a slice; returns them in the order in which slices reach them, upward, to
        a millimeter.
        """
        dome, steep, beside = (a.ravel()[places] for a in (self.dome, self.steep, self.beside))
        first = dome - (1.8 + self.edge / 2 + np.float32(_ROUNDING_MM)) / steep
        first = np.floor(first).clip(-3e4, 3e4).astype(np.int16)  # NumPy sorts 16-bit numbers in a tenth of the time
        order = np.argsort(first, kind="stable")
        self.places, self.first = places[order], first[order]
        self.dome, self.steep, self.beside = dome[order], steep[order], beside[order]
        self.work = np.empty((3, len(order)), np.float32)
        return self.places

    def reached(self, z: float) -> int:
        """Return how many of the positions may show diaphragm or lung at this height, mm."""
        return 0 if z < self.lowest else int(np.searchsorted(self.first, z + _ROUNDING_MM))

    def paint(self, slab: np.ndarray, z: float, inner: np.ndarray) -> None:
        """Blend into a slice (H, W). inner: depth inside the wall (n,) at the first positions."""
        n = len(inner)
        above, share, step = self.work[:, :n]
        np.subtract(np.float32(z), self.dome[:n], out=above)
        above *= self.steep[:n]
        value = slab.ravel().take(self.places[:n])
        np.abs(above, out=share)
        np.subtract(1.8, share, out=share)
        np.minimum(inner, share, out=share)
        self._blend(value, "muscle", 55.0, share, step)
        inner -= 1.5
        above -= 1.8
        np.minimum(inner, above, out=share)
        np.minimum(share, self.beside[:n], out=share)
        self._blend(value, "lung", -845.0, share, step)
        slab.ravel()[self.places[:n]] = value

    def _blend(self, value: np.ndarray, kind: str, hu: float, depth: np.ndarray, step: np.ndarray) -> None:
        """Blend a tissue into values (n,). depth, step: (n,), overwritten."""
        np.subtract(np.float32(self.painter.value(kind, hu)), value, out=step)
        step *= soft_inside(depth, self.edge, out=depth)
        value += step


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
    air = painter.field[box] < -900  # never over the patient
    for inset, hu in ((0.0, 70.0), (1.6, -960.0)):
        painter.put(box, painter.soft(depth - inset) * air, "table", np.float32(hu))
