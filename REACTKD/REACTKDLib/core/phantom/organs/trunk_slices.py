"""Painting the trunk slice by slice: air, skin, fat, muscle, diaphragm and lungs; and the table."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.organs.wall import DEEP_MM, Trunk
from REACTKDLib.core.phantom.shapes import soft_inside

_SKIN_MM = 2.0
_SLICES = 6  # for which the positions of diaphragm and lung are selected at a time
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
    settles = (front == 0) | (least - wall > reach + 1.5)
    lung.within(np.flatnonzero(most - wall >= -reach - 1), settles, front, depth, wall)
    on_band = [a.ravel()[band] for a in (front, depth)]
    slab = np.empty_like(alike)
    for k, (z, bulge) in enumerate(zip(lattice.z, bulges, strict=True)):
        if k % _SLICES == 0:
            lung.prepare(alike, z, lattice.z[k : k + _SLICES][-1], bulge)
        slab[:] = alike
        slab.ravel()[band] = wall_of.value(air, bulge * on_band[0] + on_band[1])
        lung.paint(slab, z, bulge)
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
    """Paints diaphragm and lung, one slice after the other, upward.

    In a slice only some positions change: those below have not reached the diaphragm, and those above are lung, as in
    all further slices, or beside it.
    """

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

    def within(self, places: np.ndarray, settles: np.ndarray, *at: np.ndarray) -> None:
        """Restrict to these positions (n,) of a slice.

        settles: (H, W), where a voxel above the diaphragm has the same value in every slice. at: the front, the depth
        below the muscles' face, and the wall, (H, W).
        """
        self.places = places
        self.at = np.stack([a.ravel()[places] for a in (self.dome, self.steep, self.beside, *at)])
        (dome, steep), edge = self.at[:2], self.edge / 2 + np.float32(_ROUNDING_MM)
        self.first = dome - (np.float32(1.8) + edge) / steep
        self.last = np.where(settles.ravel()[places], dome + (np.float32(1.8) + edge) / steep, np.float32(np.inf))
        self.own, self.on = places[:0], self.at[:, :0]

    def prepare(self, alike: np.ndarray, low: np.float32, high: np.float32, bulge: np.float32) -> None:
        """Select the positions that change between two heights, mm.

        Those that change no more are painted into `alike` (H, W), with which every further slice starts.
        """
        if low >= self.lowest:
            settled = np.flatnonzero(self.last < low)
            self.own, self.on = self.places[settled], self.at.take(settled, axis=1)
            self.paint(alike, low, bulge)
            self.first[settled] = self.last[settled] = np.inf
        reached = np.flatnonzero(self.first <= high + np.float32(_ROUNDING_MM))
        self.own, self.on = self.places[reached], self.at.take(reached, axis=1)

    def paint(self, slab: np.ndarray, z: np.float32, bulge: np.float32) -> None:
        """Blend into a slice (H, W) at height `z`, mm, where the belly's bulge is `bulge` mm."""
        if z < self.lowest or not self.own.size:
            return
        dome, steep, beside, front, depth, wall = self.on
        inner = bulge * front
        inner += depth
        inner -= wall
        above = z - dome
        above *= steep
        value = slab.ravel().take(self.own)
        share = np.abs(above)
        np.subtract(1.8, share, out=share)
        np.minimum(inner, share, out=share)
        self._blend(value, "muscle", 55.0, share)
        inner -= 1.5
        above -= 1.8
        np.minimum(inner, above, out=share)
        np.minimum(share, beside, out=share)
        self._blend(value, "lung", -845.0, share)
        slab.ravel()[self.own] = value

    def _blend(self, value: np.ndarray, kind: str, hu: float, depth: np.ndarray) -> None:
        """Blend a tissue into values (n,). depth: (n,), overwritten."""
        step = np.float32(self.painter.value(kind, hu)) - value
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
