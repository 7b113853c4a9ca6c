"""Intensity normalization for the network: a liver window for CT, a scale-free logarithm for PET, the paper's forms."""

from __future__ import annotations

import numpy as np

#: usual limits for soft tissue; a task for lungs or bones defines its own
CT_CLIP_HU = (-160.0, 240.0)


def liver_window(
    hu: np.ndarray, center_hu: float, scale_hu: float, clip_hu: tuple[float, float] = CT_CLIP_HU
) -> np.ndarray:
    """Clip to `clip_hu`, then map the organ's HU to 0 and `scale_hu` to one unit. Any shape, float32."""
    clipped = np.clip(hu, *clip_hu)
    return ((clipped - center_hu) / scale_hu).astype(np.float32)


def pet_scale(pet: np.ndarray, inside: np.ndarray) -> float:
    """Return a robust scale of the image: the median of voxels above 15 % of the 99th percentile.

    It is 1.0 for an image without positive values. It is proportional to the image values.
    """
    values = pet[inside]
    values = values[values > 0]
    if values.size == 0:
        return 1.0
    high = np.partition(values, int(0.99 * (values.size - 1)))[int(0.99 * (values.size - 1))]
    return float(np.median(values[values > 0.15 * high]))


def log_pet(pet: np.ndarray, inside: np.ndarray, floor: float, gain: float) -> np.ndarray:
    """gain * ln(max(PET / scale, floor)); outside the image 0, which is the level of the scale. Scale-free."""
    ratio = np.maximum(pet / pet_scale(pet, inside), floor)
    return np.where(inside, gain * np.log(ratio), 0.0).astype(np.float32)


def z_score(values: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance over the whole array (the paper's CT normalization, after its window)."""
    return ((values - values.mean()) / max(float(values.std()), 1e-6)).astype(np.float32)


def percentile_pet(pet: np.ndarray) -> np.ndarray:
    """The paper's PET normalization: clip to the 1st-99th percentile, min-max to [0, 1], z-score."""
    low, high = np.percentile(pet, (1, 99))
    return z_score((np.clip(pet, low, high) - low) / max(float(high - low), 1e-6))
