"""Soft solids: signed depth (mm, positive inside) of simple bodies, and painting them into a field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ellipsoid:
    """center and semi-axes in mm (x, y, z); `power` above 2 makes it boxier."""

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
    """A round tube from `start` to `end` (mm) whose radius runs linearly between two values."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: tuple[float, float]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        pad = max(self.radius)
        return np.minimum(self.start, self.end) - pad, np.maximum(self.start, self.end) + pad

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Signed distance to the surface, mm, positive inside."""
        p0, axis = np.asarray(self.start), np.asarray(self.end) - np.asarray(self.start)
        dx, dy, dz = x - p0[0], y - p0[1], z - p0[2]
        t = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / max(float(axis @ axis), 1e-9), 0, 1)
        distance = np.sqrt((dx - t * axis[0]) ** 2 + (dy - t * axis[1]) ** 2 + (dz - t * axis[2]) ** 2)
        return self.radius[0] + t * (self.radius[1] - self.radius[0]) - distance


def smooth_union(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Depth of the union of two bodies, with the crease filled over `blend_mm`."""
    h = np.clip(0.5 + 0.5 * (a - b) / blend_mm, 0, 1)
    return b + (a - b) * h + blend_mm * h * (1 - h)


def soft_inside(depth: np.ndarray, edge_mm: float) -> np.ndarray:
    """Share of a voxel that is inside, from the depth of its center and an edge of `edge_mm`."""
    return np.clip(0.5 + depth / edge_mm, 0, 1)
