"""A grid: a shape and a place, without values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: a part of an array (D, H, W): the slices of k, j and i
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centers in patient space. shape: (D, H, W). ijk_to_ras: (4, 4), mm."""

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm, in the order i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000

    def centers_ras(self) -> np.ndarray:
        """Return voxel centers, (D, H, W, 3), mm RAS, float64."""
        k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in self.shape), indexing="ij")
        return np.stack([i, j, k], axis=-1) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def same_as(self, other: Grid, tolerance_mm: float = 1e-6) -> bool:
        """True when shape and place agree."""
        return self.shape == other.shape and bool(
            np.allclose(self.ijk_to_ras, other.ijk_to_ras, rtol=0, atol=tolerance_mm)
        )
