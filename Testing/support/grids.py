"""Positions of the voxels of a grid, computed without the code under test."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.grid import Grid


def voxel_ras(ijk_to_ras: np.ndarray, kji: np.ndarray) -> np.ndarray:
    """Return the positions (..., 3), mm RAS, float64, of the voxels `kji` (..., 3)."""
    return kji[..., ::-1] @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]


def centers_ras(grid: Grid) -> np.ndarray:
    """Return the centers (D, H, W, 3), mm RAS, float64, of all voxels."""
    axes = (np.arange(n, dtype=np.float64) for n in grid.shape)
    return voxel_ras(grid.ijk_to_ras, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
