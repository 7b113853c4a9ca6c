"""A whole body: everything but the lesions, drawn from one random stream and rendered on any grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.anatomy import Organ
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs import gut, solid_organs
from REACTKDLib.core.phantom.organs.bones import Skeleton, paint_ribs, paint_spine
from REACTKDLib.core.phantom.organs.frame import Frame
from REACTKDLib.core.phantom.organs.liver_lobes import HILUM, GridLiver, grow_liver
from REACTKDLib.core.phantom.organs.painter import Painter
from REACTKDLib.core.phantom.organs.parts import Part
from REACTKDLib.core.phantom.organs.trunk_slices import paint_table, paint_trunk
from REACTKDLib.core.phantom.organs.wall import Trunk
from REACTKDLib.core.phantom.shapes import Tube


@dataclass(frozen=True, eq=False)
class Body:
    """The anatomy of the second edition; see `Anatomy` for the first's. Coordinates as in `GridLiver`.

    distractors: cysts and hemangiomas in the liver, which are not tumors here.

    Example:
        >>> liver, body = draw_body(np.random.default_rng(0))
        >>> field = body.paint_ct(lattice, edge_mm=1.0, liver=liver, liver_hu=110, vessel_hu=160)
    """

    trunk: Trunk
    skeleton: Skeleton
    parts: tuple[Part, ...]
    small_vessels: tuple[Tube, ...]
    distractors: tuple[Organ, ...]

    @property
    def half(self) -> tuple[float, float]:
        """Half width and half depth with the skin, mm."""
        return self.trunk.half

    @property
    def dome_mm(self) -> float:
        """Height of the right dome of the diaphragm."""
        return float(self.trunk.domes[0] * self.trunk.scale[2])

    def _paint(self, painter: Painter, liver: GridLiver, liver_hu: float, vessel_hu: float, mask) -> None:
        band = paint_trunk(painter, self.trunk)
        painter.tubes(self.small_vessels, "blood", 75.0)
        if band is not None:
            paint_ribs(painter, self.trunk, self.skeleton, *band)
        for part in self.parts:
            painter.part(part)
        paint_spine(painter, self.trunk, self.skeleton)
        self._paint_liver(painter, liver, liver_hu, vessel_hu, mask)
        for spot in self.distractors:
            own = painter.lattice.box(*spot.solid.bounds(), pad_mm=painter.edge_mm)
            if own is not None:
                weight = painter.soft(spot.solid.depth(*painter.lattice.coordinates(own)))
                painter.put(own, weight, spot.kind, np.float32(spot.hu))

    @staticmethod
    def _paint_liver(painter: Painter, liver: GridLiver, liver_hu: float, vessel_hu: float, mask) -> None:
        """Paint the liver and, on CT, its vessels, limited to the liver. mask: see `paint_ct`."""
        value = np.float32(liver_hu if painter.tracer is None else painter.suv)
        inside = np.zeros(painter.lattice.shape if painter.tracer is None else (0, 0, 0), dtype=np.float32)
        for box, depth in liver.pieces(painter.lattice, painter.reach_mm):
            if mask is not None:
                np.greater(depth, 0, out=mask[box])
            weight = painter.soft(depth)
            painter.blend(box, weight, value)
            if inside.size:
                inside[box] = weight
        if inside.size:
            painter.tubes(liver.vessels, "blood", vessel_hu, inside)

    def paint_ct(
        self,
        lattice: Lattice,
        edge_mm: float,
        liver: GridLiver,
        liver_hu: float,
        vessel_hu: float,
        mask: np.ndarray | None = None,
    ) -> np.ndarray:
        """HU without lesions and noise, (D, H, W) float32.

        mask: bool (D, H, W), false; the liver is marked in it, so that its depth is computed only once.
        """
        painter = Painter(np.empty(lattice.shape, dtype=np.float32), lattice, edge_mm)
        self._paint(painter, liver, liver_hu, vessel_hu, mask)
        paint_table(painter, self.trunk)
        return painter.field

    def paint_pet(self, lattice: Lattice, edge_mm: float, liver: GridLiver, tracer: str, suv: float) -> np.ndarray:
        """SUV without lesions, blur and noise, (D, H, W) float32."""
        painter = Painter(np.empty(lattice.shape, dtype=np.float32), lattice, edge_mm, tracer, suv)
        self._paint(painter, liver, 0.0, 0.0, None)
        return painter.field


def _scale(rng: np.random.Generator) -> np.ndarray:
    """Return the width, depth and height of a patient relative to the average one."""
    size = rng.normal(1.0, 0.04)
    return np.clip(size * rng.normal(1.0, (0.035, 0.045, 0.035)), (0.9, 0.88, 0.9), (1.1, 1.14, 1.12))


def _small_vessels(rng: np.random.Generator, frame: Frame) -> tuple[Tube, ...]:
    """Return small vessels of the lungs and the mesentery; organs are painted over them."""
    paths = []
    shares, onward = np.linspace(0.15, 1, 6)[:, None], np.linspace(0, 1, 6)[:, None]
    thin, thick = np.linspace(2.2, 0.9, 6), np.linspace(3.0, 0.9, 6)
    for _ in range(34):
        start = np.array([2.0, 16, rng.uniform(-150, -40)]) + rng.normal(0, 4, 3)
        tip = np.array([rng.uniform(-95, 85), rng.uniform(20, 78), start[2] + rng.normal(0, 25)])
        points = start + shares * (tip - start) + rng.normal(0, 3, (6, 3))
        paths.append((points, thin))
    for side in np.repeat((1, -1), 16):
        start = np.array([40.0 * side, -15, 150]) + rng.normal(0, 10, 3)
        tip = np.array([rng.uniform(45, 120) * side, rng.uniform(-75, 55), rng.uniform(0, 110)])
        points = start + onward * (tip - start)
        points[1:-1] += rng.normal(0, 3, (4, 3))
        paths.append((points, thick))
    places = frame.to_patient(np.concatenate([points for points, _ in paths])).reshape(-1, 6, 3).tolist()
    return tuple(
        Tube(tuple(a), tuple(b), (float(r), float(s)))
        for own, (_, radii) in zip(places, paths, strict=True)
        for a, b, r, s in zip(own, own[1:], radii, radii[1:], strict=False)
    )


def draw_body(rng: np.random.Generator) -> tuple[GridLiver, Body]:
    """Draw a body and its liver of 1,000 to 2,200 ml.

    Organs are placed in order, each in the space that the earlier ones leave.
    """
    scale = _scale(rng)
    trunk, frame = Trunk.draw(rng, scale), Frame.draw(rng, scale)
    wanted_ml = rng.uniform(1000, 2200)
    x, y, z = frame.grid.coordinates((slice(None),) * 3)
    walls = trunk.cavity(x, y)
    dome = trunk.diaphragm(x, y, walls)
    steep = 1 / np.sqrt(1 + sum(g * g for g in np.gradient(dome[0], 4.0)))
    above = (z - dome) * steep.astype(np.float32)
    cavity = np.minimum(walls - 1, -above - 0.5)
    spine = np.maximum(24 - np.hypot(x, (y - -45 * scale[1]) * 1.3), 20 - np.hypot(x, y - -72 * scale[1]))
    np.maximum(frame.taken, spine.astype(np.float32), out=frame.taken)
    parts = solid_organs.great_vessels(rng, frame)
    parts += solid_organs.muscles(rng, frame)
    parts += solid_organs.kidneys(rng, frame)
    parts += solid_organs.adrenals(rng, frame)
    parts += solid_organs.gallbladder(rng, frame)
    parts += solid_organs.portal_trunk(rng, frame, HILUM)
    parts += solid_organs.esophagus_and_heart(rng, frame, np.minimum(above, walls))
    liver = grow_liver(rng, frame, cavity, wanted_ml)
    parts += solid_organs.spleen(rng, frame, cavity)
    parts += solid_organs.pancreas(rng, frame)
    parts += gut.stomach(rng, frame, cavity)
    parts += gut.colon(rng, frame, cavity)
    parts += gut.small_bowel(rng, frame, cavity)
    body = Body(trunk, Skeleton.draw(rng), parts, _small_vessels(rng, frame), ())
    return liver, body
