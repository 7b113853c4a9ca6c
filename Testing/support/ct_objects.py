"""Objects with known line integrals, as CT slices in HU: water cylinders, an ellipse with bones, a body with organs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

SUPERSAMPLING = 4


def coordinates(size: int, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x (1, N) and y (N, 1) of the pixel centers in mm, from the center of the slice."""
    axis = (np.arange(size) - (size - 1) / 2) * spacing_mm
    return axis[None, :], axis[:, None]


def coverage(size: int, spacing_mm: float, center: Sequence[float], half_axes: Sequence[float]) -> np.ndarray:
    """(N, N) share of each pixel that an ellipse covers; center and half axes as (x, y) in mm."""
    x, y = coordinates(size * SUPERSAMPLING, spacing_mm / SUPERSAMPLING)
    inside = ((x - center[0]) / half_axes[0]) ** 2 + ((y - center[1]) / half_axes[1]) ** 2 < 1.0
    blocks = inside.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


@lru_cache(maxsize=8)
def water_cylinder(size: int, spacing_mm: float, slices: int = 1, diameter_mm: float = 300.0) -> np.ndarray:
    """(D, N, N) float32 HU: water in air. Shared between tests, so read only."""
    radius = diameter_mm / 2
    plane = -1000.0 + 1000.0 * coverage(size, spacing_mm, (0, 0), (radius, radius))
    volume = np.repeat(plane[None].astype(np.float32), slices, axis=0)
    volume.setflags(write=False)
    return volume


def ellipse_with_bones(size: int, spacing_mm: float, slices: int = 1) -> np.ndarray:
    """(D, N, N) float32 HU: water, 340 x 220 mm, with two 50 mm discs of 900 HU at x = -90 and 90 mm."""
    plane = -1000.0 + 1000.0 * coverage(size, spacing_mm, (0, 0), (170, 110))
    for x in (-90, 90):
        plane += 900.0 * coverage(size, spacing_mm, (x, 0), (25, 25))
    return np.repeat(plane[None].astype(np.float32), slices, axis=0)


def body(size: int, spacing_mm: float, slices: int = 1) -> np.ndarray:
    """(D, N, N) float32 HU: an abdomen of ellipses (fat, muscle, liver, spine, a gas bubble), 330 x 240 mm."""
    plane = np.full((size, size), -1000.0, dtype=np.float32)
    for hu, center, half_axes in (
        (-100, (0, 0), (165, 120)),
        (40, (0, 0), (145, 100)),
        (100, (-55, -10), (75, 65)),
        (700, (0, 70), (22, 22)),
        (-900, (70, -40), (22, 14)),
        (160, (20, 40), (10, 10)),
    ):
        share = coverage(size, spacing_mm, center, half_axes)
        plane += share * (hu - plane)
    return np.repeat(plane[None], slices, axis=0)


def disc_mask(size: int, spacing_mm: float, inner_mm: float, outer_mm: float) -> np.ndarray:
    """(N, N) bool ring of pixel centers at inner <= r < outer mm."""
    x, y = coordinates(size, spacing_mm)
    radius = np.hypot(x, y)
    return (radius >= inner_mm) & (radius < outer_mm)
