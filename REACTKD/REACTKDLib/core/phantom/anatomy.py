"""The surroundings of the liver: body, fat, spine, ribs, lungs, kidneys, spleen, stomach, vessels.

None depends on grade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.phantom.shapes import Ellipsoid, Tube

TRACERS = ("fdg", "acetate")
#: activity relative to the liver's, for each of `TRACERS`
UPTAKE = {
    "body": (0.35, 0.25),
    "fat": (0.15, 0.12),
    "visceral": (0.28, 0.20),
    "bone": (0.55, 0.40),
    "lung": (0.20, 0.15),
    "kidney": (2.2, 1.3),
    "spleen": (0.85, 0.95),
    "stomach": (0.9, 0.6),
    "heart": (1.6, 1.1),
    "blood": (0.8, 0.25),
    "cyst": (0.25, 0.15),
    "hemangioma": (0.95, 0.85),
}


@dataclass(frozen=True)
class Organ:
    """A solid with a CT value (HU) and a kind that determines its uptake."""

    kind: str
    solid: Ellipsoid | Tube
    hu: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything but the liver. The body's axis runs along z; coordinates as in `liver`."""

    body: Ellipsoid
    fat_mm: float
    lung_floor_mm: float
    organs: tuple[Organ, ...]
    distractors: tuple[Organ, ...]
    rib_phase: float

    @property
    def half(self) -> tuple[float, float]:
        """Half width and half depth with the skin, mm."""
        return self.body.axes[:2]

    def body_depth(self, x, y, z) -> np.ndarray:
        """Depth below the skin, mm, from an elliptic cylinder."""
        (cx, cy, _), (ax, ay, _) = self.body.center, self.body.axes
        u, v = (x - cx) / ax, (y - cy) / ay
        radius = np.sqrt(u * u + v * v)
        slope = np.sqrt((u / ax) ** 2 + (v / ay) ** 2)
        return np.broadcast_to(
            radius * (1 - radius) / np.maximum(slope, 1e-6), np.broadcast_shapes(x.shape, y.shape, z.shape)
        )


def _organs(rng: np.random.Generator, fat: float, half_width: float, half_depth: float) -> list[Organ]:
    def near(*center: float) -> tuple[float, float, float]:
        return tuple(np.asarray(center) + rng.normal(size=3) * (4, 4, 6))

    spine_y = -half_depth + fat + 42
    spleen_x = -(half_width - fat - 38)
    return [
        Organ("bone", Tube((0, spine_y, -400), (0, spine_y, 400), (19, 19)), rng.uniform(180, 280)),
        Organ("body", Tube((0, spine_y - 21, -400), (0, spine_y - 21, 400), (8, 8)), 35.0),
        Organ("blood", Tube((-14, spine_y + 32, -400), (-12, spine_y + 32, 400), (11, 12)), rng.uniform(135, 165)),
        Organ("blood", Tube((20, spine_y + 36, -400), (16, spine_y + 38, 400), (11, 11)), rng.uniform(120, 150)),
        Organ("kidney", Ellipsoid(near(62, spine_y + 14, -95), (26, 24, 52)), rng.uniform(160, 195)),
        Organ("kidney", Ellipsoid(near(-62, spine_y + 16, -70), (26, 24, 52)), rng.uniform(160, 195)),
        Organ("spleen", Ellipsoid(near(spleen_x, spine_y + 34, 18), (28, 42, 50)), rng.uniform(105, 130)),
        Organ("stomach", Ellipsoid(near(-62, 22, 4), (36, 34, 46)), rng.uniform(15, 40)),
        Organ("heart", Ellipsoid((-18, 34, 165), (60, 46, 42)), rng.uniform(120, 150)),
    ]


def draw_anatomy(rng: np.random.Generator, liver_top_mm: float) -> Anatomy:
    """Draw the surroundings of a liver whose dome is at `liver_top_mm`."""
    half_width, half_depth = rng.uniform(155, 195), rng.uniform(105, 130)
    fat = rng.uniform(10, 28)
    organs = _organs(rng, fat, half_width + fat / 2, half_depth + fat / 2)
    stomach = organs[7].solid
    air = Ellipsoid(tuple(np.asarray(stomach.center) + (0, stomach.axes[1] * 0.45, 6)), (20, 12, 24))
    return Anatomy(
        body=Ellipsoid((0.0, 0.0, 0.0), (half_width + fat / 2, half_depth + fat / 2, 1e5)),
        fat_mm=fat,
        lung_floor_mm=liver_top_mm + 7,
        organs=(*organs, Organ("lung", air, -900.0)),
        distractors=(),
        rib_phase=float(rng.uniform(0, 2 * np.pi)),
    )
