"""A small synthetic abdomen for tests of cohorts, the liver on the right, below the lungs, in front of the spine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume

SHAPE, SPACING = (44, 40, 44), (6.0, 6.0, 5.0)
D, H, W = np.indices(SHAPE)  # increasing from below; from the front; from the patient's right
LIVER = ((D - 16) / 10) ** 2 + ((H - 19) / 11) ** 2 + ((W - 15) / 9) ** 2 < 1
MASS = ((D - 15) ** 2 + (H - 17) ** 2 + (W - 13) ** 2 < 16) | ((D - 20) ** 2 + (H - 22) ** 2 + (W - 17) ** 2 < 5)


def abdomen(seed: int = 0) -> np.ndarray:
    """HU, (D, H, W) int16: i to the patient's left, j to the back, k upward."""
    values = np.random.default_rng(seed).normal(30, 10, SHAPE)
    values[LIVER] += 60
    values[MASS & LIVER] -= 40
    body = ((H - 20) / 15) ** 2 + ((W - 22) / 17) ** 2 < 1
    lung = (D > 28) & (((H - 19) / 9) ** 2 + ((abs(W - 22) - 8) / 5) ** 2 < 1)
    values[lung & body] = -820
    values[((H - 31) ** 2 + (W - 22) ** 2 < 9)] = 500
    values[~body] = -1000
    return np.rint(values).astype(np.int16)


def place(x: float = 130.0) -> np.ndarray:
    """Return the IJK-to-RAS matrix of `abdomen`."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = x, 120, -80
    return matrix


def labels() -> np.ndarray:
    """Return 0 background, 1 liver, 2 tumor, as in LiTS."""
    return LIVER.astype(np.uint8) + (LIVER & MASS)


def turned(array: np.ndarray, matrix: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the same image with some array axes reversed, and the corresponding matrix."""
    matrix = matrix.copy()
    for axis in axes:
        column = 2 - axis
        matrix[:3, 3] += matrix[:3, column] * (array.shape[axis] - 1)
        matrix[:3, column] *= -1
    return np.ascontiguousarray(np.flip(array, axes)), matrix


def write(array: np.ndarray, matrix: np.ndarray, path: Path) -> Path:
    """Write an image, creating its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_volume(Volume(array, matrix), path)
