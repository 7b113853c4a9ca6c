"""The trunk: skin, fat, the muscles of the wall, the cavity inside, and the diaphragm with the lungs above it.

All are functions of (x, y) alone, except for the belly, which bulges with z; so a whole slice is as cheap as a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: half axes of an average trunk without fat, mm
WIDE_MM, DEEP_MM = 152.0, 104.0
_POWER = 2.08


@dataclass(frozen=True, eq=False)
class Trunk:
    """scale: of the average body to this patient (x, y, z).

    fat_mm: under the skin. waves: (k, share, phase) of the outline. belly_mm: its bulge at the lower end. domes:
    heights of the right and left diaphragm, mm.
    """

    scale: np.ndarray
    fat_mm: float
    waves: tuple[tuple[int, float, float], ...]
    belly_mm: float
    domes: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, scale: np.ndarray) -> Trunk:
        """Draw a trunk."""
        waves = tuple((k, float(rng.normal(0, 0.012 / k)), float(rng.uniform(0, 2 * np.pi))) for k in (2, 3, 4))
        top = 86 + rng.normal(0, 3)
        return cls(scale, float(rng.uniform(9, 26)), waves, float(rng.uniform(-2, 14)), (top, top - rng.uniform(6, 16)))

    @property
    def half(self) -> tuple[float, float]:
        """Half width and half depth with the skin, mm."""
        return WIDE_MM * self.scale[0] + self.fat_mm, DEEP_MM * self.scale[1] + self.fat_mm * 1.1 + max(
            self.belly_mm, 0
        )

    @property
    def _axes(self) -> tuple[float, float]:
        """Half width and half depth without fat, mm; plain numbers, which do not promote float32 arrays."""
        return WIDE_MM * float(self.scale[0]), DEEP_MM * float(self.scale[1])

    def muscle_depth(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Depth below the outer face of the muscles, mm, positive inside."""
        a, b = self._axes
        angle = np.arctan2(y, x)
        stretch = 1 + sum(c * np.cos(k * angle + p) for k, c, p in self.waves)
        u, v = np.abs(x) / (a * stretch) + 1e-6, np.abs(y) / (b * stretch) + 1e-6
        flat = np.where(y < 0, np.float32(2.6), np.float32(_POWER))  # the back is flatter
        r = (u**flat + v**flat) ** (1 / flat)
        slope = np.sqrt((u ** (flat - 1) / a) ** 2 + (v ** (flat - 1) / b) ** 2) * r ** (1 - flat)
        groove = 9 * np.exp(-((x / 15) ** 2)) * (y < 0) * np.clip(-y / b, 0, 1)
        return ((1 - r) / np.maximum(slope, 1e-5) - groove).astype(np.float32)

    def front(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the fraction of the belly's bulge at a position of the wall, 0 to 1."""
        a, b = self._axes
        return (np.clip(y / b, 0, 1.2) ** 2 * np.clip(1 - (x / a) ** 2, 0, 1)).astype(np.float32)

    def bulge(self, z: np.ndarray) -> np.ndarray:
        """Return the displacement of the front at heights z, mm."""
        return self.belly_mm / (1 + np.exp((z + 35) / 35))

    def subcutis(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Thickness of fat between skin and muscle, mm."""
        angle = np.arctan2(y, x)
        return (self.fat_mm * (1 + 0.18 * np.sin(-angle) + 0.15 * np.cos(2 * angle))).astype(np.float32)

    def wall(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Thickness of the muscles of the wall, mm: thin at the anterior midline, with a muscle belly on each side."""
        side = np.abs(x) / float(self.scale[0])
        front = np.clip(y / 40 - 0.6, 0, 1)
        rectus = 4 + 7 * np.clip(1 - ((side - 36) / 34) ** 2, 0, 1)
        back = 19 * np.clip(-y / 40 - 0.6, 0, 1) * np.clip(1.25 - (side / 66) ** 4, 0, 1)  # erector spinae
        return (12.0 + back + (rectus - 12.0) * front).astype(np.float32)

    def cavity(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Depth inside the inner face of the wall, mm."""
        return self.muscle_depth(x, y) - self.wall(x, y)

    def diaphragm(self, x: np.ndarray, y: np.ndarray, cavity: np.ndarray) -> np.ndarray:
        """Height of the diaphragm, mm: two flat domes with a saddle between, steep at the wall, lowest at the back.

        cavity: depth there, see `cavity`.
        """
        near = np.clip(1 - cavity / 62, 0, 1)  # 1 at the wall
        x, y = x / float(self.scale[0]), y / float(self.scale[1])
        right, left = (
            top - 0.0016 * (side * x - 62) ** 2 - 0.0012 * (y - 4) ** 2 for side, top in zip((1, -1), self.domes)
        )
        h = np.clip(0.5 + (right - left) / 30, 0, 1)
        summit = left + (right - left) * h + 15 * h * (1 - h) - 12 * np.exp(-((x / 26) ** 2))
        behind = 1 / (1 + np.exp((y + 12) / 18))
        outer = np.clip(np.abs(x) / 120 - 0.25, 0, 1)
        drop = 48 + 72 * np.maximum(behind, outer)
        return ((summit - drop * (1 - np.sqrt(1 - 0.998 * near**2))) * float(self.scale[2])).astype(np.float32)
