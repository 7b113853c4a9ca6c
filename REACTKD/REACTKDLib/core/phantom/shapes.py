"""Soft solids: signed depth (mm, positive inside) of simple bodies, and the fraction of a voxel inside one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Ellipsoid:
    """center and semi-axes in mm (x, y, z)."""

    center: tuple[float, float, float]
    axes: tuple[float, float, float]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        c, a = np.asarray(self.center), np.asarray(self.axes)
        return c - a, c + a

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """First-order signed distance to the surface, mm, positive inside."""
        (cx, cy, cz), (ax, ay, az) = self.center, self.axes
        u, v, w = (x - cx) / ax, (y - cy) / ay, (z - cz) / az
        radius = np.sqrt(u * u + v * v + w * w)
        slope = np.sqrt((u / ax) ** 2 + (v / ay) ** 2 + (w / az) ** 2)
        return radius * (1 - radius) / np.maximum(slope, 1e-6)


@dataclass(frozen=True)
class Tube:
    """A round tube from `start` to `end` (mm) whose radius changes linearly between two values."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: tuple[float, float]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        ends = np.array([self.start, self.end])
        return ends.min(axis=0) - max(self.radius), ends.max(axis=0) + max(self.radius)

    @cached_property
    def axis(self) -> tuple[float, float, float]:
        """The end from the start, mm (x, y, z)."""
        return tuple((np.asarray(self.end) - np.asarray(self.start)).tolist())

    @cached_property
    def squared(self) -> float:
        """The squared length, mm^2, at least 1e-9."""
        axis = np.array(self.axis)
        return max(float(axis @ axis), 1e-9)

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Signed distance to the surface, mm, positive inside; float64."""
        offset = [np.asarray(a, dtype=np.float64) - p for a, p in zip((x, y, z), self.start, strict=True)]
        return tube_depth(offset, self.axis, self.squared, self.radius)


def tube_depth(offset, axis, squared, radius) -> np.ndarray:
    """Depth of points in a tube, or of each point in its own tube; see `Tube`. Computed in place where possible.

    offset: x, y and z from the start, broadcastable float64. axis: three numbers, or three arrays for the points;
    squared and the two of radius likewise.
    """
    (dx, dy, dz), (ax, ay, az) = offset, axis
    t = dx * ax + dy * ay + dz * az
    t /= squared
    t.clip(0, 1, out=t)
    distance = t * ax
    np.subtract(dx, distance, out=distance)
    distance *= distance
    across = np.empty_like(t)
    for d, a in ((dy, ay), (dz, az)):
        np.multiply(t, a, out=across)
        np.subtract(d, across, out=across)
        across *= across
        distance += across
    np.sqrt(distance, out=distance)
    t *= radius[1] - radius[0]
    t += radius[0]
    t -= distance
    return t


def smooth_union(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Depth of the union of two bodies, with the crease filled over `blend_mm`.

    A negative `blend_mm` gives the intersection, with the edge rounded over as many mm: the same as the negative of
    the union of the negatives, bit by bit.
    """
    depth = a - b
    h = 0.5 * depth
    h /= blend_mm
    h += 0.5
    h.clip(0, 1, out=h)
    depth *= h
    depth += b
    crease = 1 - h
    h *= blend_mm
    crease *= h
    depth += crease
    return depth


def soft_inside(depth: np.ndarray, edge_mm: float, out: np.ndarray | None = None) -> np.ndarray:
    """Return the fraction of a voxel that is inside, from the depth of its center and an edge of `edge_mm`.

    out: as in NumPy.
    """
    share = np.asarray(np.divide(depth, edge_mm, out=out))
    share += 0.5
    return share.clip(0, 1, out=share)  # a sixth of the time of `maximum` and `minimum` with a number
