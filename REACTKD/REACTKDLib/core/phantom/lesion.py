"""One lesion: a star-shaped body with an irregular margin, a capsule, a necrotic part, a texture and PET uptake."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CAPSULE_MM = 5.0
NECROSIS_DROP_HU = -45.0
CORE_RADIUS_SHARE = (2 / 3) ** (1 / 3)  # a core of two thirds of the volume: the outer third is the rim
_WAVES = 20


def _sphere(n: int) -> np.ndarray:
    """Fibonacci points on the unit sphere, (n, 3)."""
    index = np.arange(n) + 0.5
    z = 1 - 2 * index / n
    angle = np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


@dataclass(frozen=True, eq=False)
class Lesion:
    """center (3,) mm in patient coordinates; radius mm; the lesion's own latents; seed of its shape and texture.

    margin: rms radius variation over radius. texture_mm: full width at half maximum of the texture's correlation.
    """

    center: tuple[float, float, float]
    radius: float
    margin: float
    contrast_hu: float
    capsule_hu: float
    necrosis: float
    texture_mm: float
    texture_hu: float
    fdg_ratio: float
    fdg_rim: float
    acetate_ratio: float
    seed: int

    @cached_property
    def _waves(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Wave vectors (n, 3), phases (n,), and the offset and scale that give zero mean and unit rms on the sphere."""
        rng = np.random.default_rng([self.seed, 1])
        vectors = rng.normal(size=(_WAVES, 3))
        vectors *= (rng.uniform(2.0, 6.0, _WAVES) / np.linalg.norm(vectors, axis=1))[:, None]
        phases = rng.uniform(0, 2 * np.pi, _WAVES)
        value = np.cos(_sphere(400) @ vectors.T + phases).sum(axis=1)
        return vectors.astype(np.float32), phases.astype(np.float32), float(value.mean()), float(value.std())

    def surface_radius(self, direction: np.ndarray) -> np.ndarray:
        """Radius (mm) of the surface in unit directions (n, 3)."""
        vectors, phases, mean, std = self._waves
        wave = np.zeros(len(direction), dtype=np.float32)
        for vector, phase in zip(vectors, phases, strict=True):
            wave += np.cos(direction @ vector + phase)
        return self.radius * np.maximum(1 + self.margin * (wave - mean) / std, 0.3)

    @property
    def reach(self) -> float:
        """An upper bound of the surface radius (mm)."""
        return self.radius * (1 + 3.5 * self.margin) + 1.0

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low and high corner of the bounding box, mm."""
        c = np.asarray(self.center)
        return c - self.reach, c + self.reach

    def polar(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distance from the center and the depth below the surface (mm, positive inside), broadcast."""
        offset = [np.asarray(a, dtype=np.float32) - np.float32(c) for a, c in zip((x, y, z), self.center, strict=True)]
        dx, dy, dz = np.broadcast_arrays(*offset)
        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
        surface = np.full(distance.shape, -np.inf, dtype=np.float32)
        near = distance < self.reach + 6.0
        d = np.maximum(distance[near], 1e-3)
        direction = np.stack([dx[near] / d, dy[near] / d, dz[near] / d], axis=1)
        surface[near] = self.surface_radius(direction)
        return distance, surface - distance

    def depth(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Depth below the surface, mm, positive inside (along the radius)."""
        return self.polar(x, y, z)[1]

    @cached_property
    def _necrosis_center(self) -> np.ndarray:
        rng = np.random.default_rng([self.seed, 2])
        step = rng.normal(size=3)
        return np.asarray(self.center) + step / np.linalg.norm(step) * rng.uniform(0, 0.22) * self.radius

    def _parts(self, x, y, z, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return soft indicators of the capsule ring and of the necrotic part."""
        ring = np.clip(0.5 + (CAPSULE_MM - depth) / 1.0, 0, 1) * np.clip(0.5 + depth, 0, 1)
        nx, ny, nz = self._necrosis_center
        core = np.sqrt((x - nx) ** 2 + (y - ny) ** 2 + (z - nz) ** 2)
        necrosis_radius = self.radius * self.necrosis ** (1 / 3)
        return ring, np.clip(0.5 + (necrosis_radius - core) / 1.5, 0, 1)

    @cached_property
    def _texture(self) -> tuple[np.ndarray, float]:
        """A zero-mean, unit-variance Gaussian field with the lesion's correlation length, and its lattice step, mm."""
        from scipy.ndimage import gaussian_filter

        sigma = self.texture_mm / (4 * np.sqrt(np.log(2)))  # correlation exp(-r^2 / 4 sigma^2) halves at texture_mm / 2
        step = max(sigma / 2.0, 0.7)
        n = int(np.ceil(2 * self.reach / step)) + 3
        rng = np.random.default_rng([self.seed, 3])
        field = gaussian_filter(rng.standard_normal((n, n, n), dtype=np.float32), sigma / step, mode="wrap")
        s = sigma / step
        return field * np.float32((2 * np.sqrt(np.pi) * s) ** 1.5), step

    def texture(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The unit texture field at points, broadcast shape.

        It is interpolated linearly on its own lattice, which reduces the variance by 4 to 6 %.
        """
        from scipy.ndimage import map_coordinates

        field, step = self._texture
        low = np.asarray(self.center) - step * (field.shape[0] - 1) / 2
        index = [(np.asarray(a) - lo) / step for a, lo in zip((z, y, x), low[::-1], strict=True)]
        return map_coordinates(field, np.broadcast_arrays(*index), order=1, mode="nearest", output=np.float32)

    @cached_property
    def _ct_means(self) -> tuple[float, float, float]:
        """Means of capsule, necrosis and texture over the lesion, so that its overall mean can be kept."""
        axis = np.linspace(-self.reach, self.reach, 34)
        x, y, z = (axis.reshape(s) + c for s, c in zip(((1, 1, -1), (1, -1, 1), (-1, 1, 1)), self.center, strict=True))
        depth = self.polar(x, y, z)[1]
        inside = depth > 0
        x, y, z = (np.broadcast_to(a, depth.shape)[inside] for a in (x, y, z))
        ring, necrosis = self._parts(x, y, z, depth[inside])
        return float(ring.mean()), float(necrosis.mean()), float(self.texture(x, y, z).mean())

    def ct_offset(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, edge_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return HU above normal liver, and the depth in mm, at points; the mean over the lesion is `contrast_hu`.

        edge_mm: the width of the lesion's edge, see `soft_inside`. Outside of it, in most of a box, the HU are not
        computed but 0.
        """
        depth = self.polar(x, y, z)[1]
        shown = depth > -0.5 * edge_mm - 1e-3  # with a margin for rounding
        offset = np.zeros(depth.shape, dtype=np.float32)
        offset[shown] = self._offset(*(np.broadcast_to(a, depth.shape)[shown] for a in (x, y, z)), depth[shown])
        return offset, depth

    def _offset(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Return HU above normal liver at points (n,) of these depths."""
        ring, necrosis = self._parts(x, y, z, depth)
        ring_mean, necrosis_mean, texture_mean = self._ct_means
        solid = 1 - necrosis * 0.5  # necrosis is smoother than viable tumor
        value = (
            self.contrast_hu
            + self.capsule_hu * (ring - ring_mean)
            + NECROSIS_DROP_HU * (necrosis - necrosis_mean)
            + self.texture_hu * (self.texture(x, y, z) - texture_mean) * solid
        )
        return value.astype(np.float32)

    def pet_ratio(self, tracer: str, x, y, z) -> tuple[np.ndarray, np.ndarray]:
        """Return uptake relative to normal liver, and the depth, at points; the mean over the lesion is the ratio."""
        distance, depth = self.polar(x, y, z)
        if tracer != "fdg":
            return np.full(depth.shape, self.acetate_ratio, dtype=np.float32), depth
        surface = np.where(np.isfinite(depth), depth + distance, 1.0)
        rim = soft_step((distance - CORE_RADIUS_SHARE * surface) / 1.5)
        core = self.fdg_ratio / (2 / 3 + self.fdg_rim / 3)
        return (core * (1 + (self.fdg_rim - 1) * rim)).astype(np.float32), depth


def soft_step(x: np.ndarray) -> np.ndarray:
    """0 below -1/2, 1 above 1/2, linear between."""
    return np.clip(0.5 + x, 0, 1)
