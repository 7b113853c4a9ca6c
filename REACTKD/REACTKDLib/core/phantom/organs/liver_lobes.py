"""The liver: right and left lobe, caudate and fissures, grown to a given volume; the vessels inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.images.geometry import Box, bounding_box
from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.organs.frame import Frame, join, meet, weighted
from REACTKDLib.core.phantom.organs.grid_solid import FAR_MM, STEP_MM, GridSolid
from REACTKDLib.core.phantom.organs.solid_organs import turned
from REACTKDLib.core.phantom.shapes import Tube

HILUM = np.array([36.0, 12.0, -10.0])
_BULK_MM = 34.0  # mm that the lower face may be below or above the average one


@dataclass(frozen=True, eq=False)
class GridLiver:
    """A liver in patient coordinates (x to the patient's right, y anterior, z superior; mm); see `LiverShape`."""

    solid: GridSolid
    vessels: tuple[Tube, ...]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        return self.solid.bounds()

    def depth(self, x, y, z) -> np.ndarray:
        """Signed depth, mm, positive inside."""
        return self.solid.depth(x, y, z)

    def pieces(self, lattice: Lattice, above_mm: float) -> Iterator[tuple[Box, np.ndarray]]:
        """See `GridSolid.pieces`."""
        return self.solid.pieces(lattice, above_mm)


def _plane(frame: Frame, point, normal) -> np.ndarray:
    """Depth below a plane whose `normal` points out of the liver."""
    n = np.asarray(normal, float) / np.linalg.norm(normal)
    depth = weighted(n, [a - np.float32(p) for a, p in zip((frame.x, frame.y, frame.z), point, strict=True)])
    return np.negative(depth, out=depth)


class _Shape(NamedTuple):
    """Parameters that differ between livers."""

    size: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    tip: float
    reach: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Shape:
        point = np.array([40.0, -5.0, -22.0]) + rng.normal(0, 3, 3)
        normal = np.array([-0.70, -0.22, -0.68]) + rng.normal(0, 0.04, 3)
        return cls(rng.uniform(0.96, 1.06, 3), point, normal, -112 + rng.normal(0, 6), rng.uniform(0.8, 1.15))


class _Lobes:
    """Right, left and caudate lobe: limited above by wall and diaphragm, and below as the volume requires."""

    def __init__(self, shape: _Shape, frame: Frame):
        right = frame.add(frame.empty(), (68, -2, -4), np.array([98, 112, 124]) * shape.size)
        self.right = meet(right, _plane(frame, (8, 0, 0), (-1.0, 0.25, 0.0)), 16.0)
        self.below = _plane(frame, shape.point, shape.normal)
        self.below += np.float32(0.42) * np.clip(-12 - frame.y, 0, 70)  # posteriorly it extends down beside the kidney
        self.below += np.float32(3.5) * np.sin(frame.x / 21 + shape.reach * 9) * np.sin(frame.y / 19 + shape.reach * 7)
        self.tip = _plane(frame, (90, 0, shape.tip), (0.1, 0.1, -1.0))
        left = frame.add(frame.empty(), (6, 48, 34), (96 * shape.reach, 44, 56), turned((0.35, 0.0, 1.0)))
        left = meet(left, _plane(frame, (14, 40, -32), (-0.42, -0.25, -0.87)), 10.0)
        self.left = meet(left, _plane(frame, (-30, 17, 30), (-0.25, -0.95, -0.15)), 10.0)
        self.caudate = frame.add(frame.empty(), (14, 4, 16), (17, 17, 30))

    def depth(self, more_mm: float) -> np.ndarray:
        """Return the depth of the joined lobes, before fissures.

        more_mm: how far the lower face is below the average one.
        """
        more = np.float32(more_mm)
        right = meet(self.right, meet(self.below + more, self.tip + more, 10.0), 14.0)
        return join(join(right, self.left + more / 4, 12.0), self.caudate, 4.0)


def _fissures(frame: Frame, slope: float) -> np.ndarray:
    """Return the depth of the fat between the lobes: the falciform and the venous fissure, and the hilum."""
    sagittal = np.abs(frame.x - 13 - slope * (frame.y - 50))
    width = np.clip(1.0 + (frame.y - 38) * 0.05 - (frame.z - 6) * 0.055, 0, 5)
    falciform = np.minimum(width - sagittal, np.minimum(frame.y - 36, 16 - frame.z))
    venous = 1.6 - np.abs(0.94 * (frame.y - 24) - 0.34 * (frame.x - 8))
    venous = np.minimum(venous, np.minimum(np.minimum(28 - frame.x, frame.x + 25), frame.z + 14))
    venous = np.minimum(venous, 40 - frame.z)
    depth = np.maximum(falciform, venous).astype(np.float32)
    return frame.add(depth, HILUM - (4, 2, 4), (20, 10, 10), turned((0.9, 0.3, 0.0)))


def grow_liver(rng: np.random.Generator, frame: Frame, cavity: np.ndarray, wanted_ml: float) -> GridLiver:
    """Place a liver of `wanted_ml`, as closely as the space in the cavity and `_BULK_MM` allow, with its vessels."""
    box = frame.box((-125, -110, -160), (140, 105, 100))
    shape, slope = _Shape.draw(rng), rng.uniform(-0.12, 0.12)
    low, high = -_BULK_MM, _BULK_MM
    rough = frame.part(box, 2)
    lobes, limit = _Lobes(shape, rough), _limit(rough, cavity[box][::2, ::2, ::2], slope)
    for _ in range(7):
        middle = (low + high) / 2
        depth = np.minimum(lobes.depth(middle), limit)
        volume = np.clip(0.5 + depth / (2 * STEP_MM), 0, 1).sum() * (2 * STEP_MM) ** 3 / 1000
        low, high = (middle, high) if volume < wanted_ml else (low, middle)
    own = frame.part(box)
    limit = _limit(own, cavity[box], slope)
    room = bounding_box(limit > FAR_MM)  # the lobes are computed only there
    depth = own.empty()
    np.minimum(_Lobes(shape, own.part(room)).depth(low), limit[room], out=depth[room])
    depth = own.place(np.maximum(depth, FAR_MM), gap=1.0)
    solid = GridSolid.cropped(own.grid, _largest(depth))
    return GridLiver(solid, _vessels(rng, frame, solid))


def _limit(frame: Frame, cavity: np.ndarray, slope: float) -> np.ndarray:
    """Return the depth of the space available to the liver."""
    return np.minimum(np.minimum(cavity, -_fissures(frame, slope)), -frame.taken - 1.0)


def _largest(depth: np.ndarray) -> np.ndarray:
    """Return the largest piece, without fragments from cuts."""
    from scipy.ndimage import label

    box = bounding_box(depth > 0)
    parts, count = label(depth[box] > 0)
    if count > 1:
        own = np.bincount(parts.ravel())[1:].argmax() + 1
        depth = depth.copy()
        depth[box][(parts != own) & (parts > 0)] = -2.5
    return depth


class _Tree:
    """Grows tubes inside a solid; all points are in coordinates of the average body, until `tubes` converts them to the
    patient's.
    """

    def __init__(self, rng: np.random.Generator, frame: Frame, solid: GridSolid):
        self.rng, self.frame, self.solid = rng, frame, solid
        self.ends: list[tuple[np.ndarray, np.ndarray]] = []
        self.radii: list[tuple[float, float]] = []

    def walk(self, points, radii) -> None:
        """Add a trunk along given points."""
        self.ends += list(zip(points, points[1:], strict=False))
        self.radii += [(float(a), float(b)) for a, b in zip(radii, radii[1:], strict=False)]

    def branch(self, start, direction, radius: float, length: float) -> None:
        """Grow in steps of about 12 mm with small bends, then two branches, until they are thin or leave the liver."""
        place, step = np.asarray(start, float), np.asarray(direction, float) / np.linalg.norm(direction)
        for _ in range(max(int(round(length / 12)), 1)):
            step = step + self.rng.normal(0, 0.22, 3)
            step /= np.linalg.norm(step)
            following = place + 12 * step
            if self.solid.depth(*(following * self.frame.scale)[:, None])[0] < 4.0:  # up to the deformation of some mm
                return
            thinner = max(0.93 * radius, 0.8)
            self.walk([place, following], [radius, thinner])
            place, radius = following, thinner
        if radius < 1.1:
            return
        across = np.cross(step, self.rng.normal(size=3))
        across /= np.linalg.norm(across)
        for side, share in ((1, 0.82), (-1, 0.68)):
            self.branch(place, step + side * self.rng.uniform(0.5, 0.9) * across, share * radius, 0.8 * length)

    def tubes(self) -> tuple[Tube, ...]:
        """Return all tubes."""
        places = self.frame.to_patient(np.array(self.ends, float).reshape(-1, 3)).reshape(-1, 2, 3)
        return tuple(
            Tube(tuple(map(float, a)), tuple(map(float, b)), r) for (a, b), r in zip(places, self.radii, strict=True)
        )


def _vessels(rng: np.random.Generator, frame: Frame, solid: GridSolid) -> tuple[Tube, ...]:
    tree = _Tree(rng, frame, solid)
    right, left = HILUM + (26, -4, 6), HILUM + (-18, 12, 14)
    tree.walk([HILUM, right], [6.0, 5.2])
    tree.walk([HILUM, left, left + (-5, 16, 2)], [5.4, 4.6, 4.2])
    tree.branch(right, (0.6, 0.6, 0.5), 5.0, 36)
    tree.branch(right, (0.7, -0.65, -0.15), 4.8, 36)
    for direction, radius in (((-1, -0.1, 0.35), 3.6), ((-0.8, 0.6, -0.25), 3.6), ((0.7, 0.5, 0.3), 3.4)):
        tree.branch(left + (-5, 16, 2), direction, radius, 26)
    confluence = np.array([23.0, 5.0, 62.0])
    for tip, radius in (((106, -12, -18), 5.6), ((50, 48, -14), 5.2), ((-46, 50, 26), 4.8)):
        tip = np.asarray(tip) + rng.normal(0, 6, 3)
        shares = np.linspace(0, 1, 9)
        points = confluence + shares[:, None] * (tip - confluence)
        points[1:-1] += np.cumsum(rng.normal(0, 1.5, (7, 3)), axis=0)
        tree.walk(points, radius * (1 - 0.65 * shares))
        for n in (2, 3, 4, 5, 6):
            across = np.cross(tip - confluence, rng.normal(size=3))
            own = (tip - confluence) / np.linalg.norm(tip - confluence) + 0.9 * across / np.linalg.norm(across)
            tree.branch(points[n], own, radius * (0.62 - 0.05 * n), 30)
    return tree.tubes()
