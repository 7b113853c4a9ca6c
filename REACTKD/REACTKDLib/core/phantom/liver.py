"""The liver of a phantom (first edition): two lobes of a given volume, the vessels inside, and positions for
lesions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.geometry import Box
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.shapes import Ellipsoid, Tube, smooth_union

_BLEND_MM = 18.0


@dataclass(frozen=True, eq=False)
class LiverShape:
    """Two lobes and a hilum, in patient coordinates (x to the patient's right, y anterior, z superior; mm)."""

    right: Ellipsoid
    left: Ellipsoid
    vessels: tuple[Tube, ...]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        (l0, h0), (l1, h1) = self.right.bounds(), self.left.bounds()
        return np.minimum(l0, l1) - 3, np.maximum(h0, h1) + 3

    def depth(self, x, y, z) -> np.ndarray:
        """Signed depth, mm, positive inside."""
        return smooth_union(self.right.depth(x, y, z), self.left.depth(x, y, z), _BLEND_MM)

    def pieces(self, lattice: Lattice, above_mm: float) -> Iterator[tuple[Box, np.ndarray]]:
        """Yield the box of `lattice` in which the depth may exceed `above_mm`, at least 0, and the depth in it."""
        box = lattice.box(*self.bounds())
        if box is not None:
            yield box, self.depth(*lattice.coordinates(box))


def _lobes(scale: float, wobble: np.ndarray) -> tuple[Ellipsoid, Ellipsoid]:
    right_axes = scale * np.array([62.0, 78.0, 80.0]) * wobble[:3]
    left_axes = scale * np.array([78.0, 42.0, 46.0]) * wobble[3:]
    right = np.array([72.0, -4.0, 0.0])
    left = np.array([8.0, 34.0, 22.0])
    center = right + (left - right) * scale
    return Ellipsoid(tuple(right), tuple(right_axes)), Ellipsoid(tuple(center), tuple(left_axes))


def _vessels(rng: np.random.Generator, right: Ellipsoid, left: Ellipsoid) -> tuple[Tube, ...]:
    """Portal and hepatic veins: a hilum with branches to both lobes, and three veins toward the cava."""
    r, l_center = np.asarray(right.center), np.asarray(left.center)
    hilum = r + np.array([-0.55, 0.1, -0.1]) * right.axes
    cava = r + np.array([-0.55, -0.35, 0.85]) * right.axes
    tubes = []
    for target in (r + rng.uniform(-0.35, 0.35, 3) * right.axes, l_center + rng.uniform(-0.3, 0.3, 3) * left.axes):
        tubes.append(Tube(tuple(hilum), tuple(target), (5.5, 3.2)))
        for _ in range(2):
            tip = target + rng.normal(size=3) * 24
            tubes.append(Tube(tuple(target), tuple(tip), (3.0, 1.6)))
    for share in ((0.35, 0.1, -0.2), (0.0, 0.45, -0.1), (0.2, -0.35, -0.3)):
        tip = r + np.asarray(share) * right.axes + rng.normal(size=3) * 6
        tubes.append(Tube(tuple(cava), tuple(tip), (4.5, 2.0)))
    return tuple(tubes)


def draw_liver(rng: np.random.Generator) -> LiverShape:
    """Draw a liver of 1,000 to 2,200 ml."""
    target_ml = rng.uniform(1000, 2200)
    wobble = rng.uniform(0.92, 1.08, 6)
    lattice = Lattice.regular(np.array([-130.0, -130.0, -130.0]), np.full(3, 7.0), (38, 38, 42))
    scale = 1.0
    for _ in range(3):  # the volume grows as the cube of the scale, except for the blend between the lobes
        right, left = _lobes(scale, wobble)
        whole = lattice.coordinates((slice(None),) * 3)
        depth = smooth_union(right.depth(*whole), left.depth(*whole), _BLEND_MM)
        volume_ml = np.clip(0.5 + depth / 7.0, 0, 1).sum() * 7.0**3 / 1000
        scale *= float((target_ml / volume_ml) ** (1 / 3))
    right, left = _lobes(scale, wobble)
    return LiverShape(right, left, _vessels(rng, right, left))
