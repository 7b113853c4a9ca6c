"""How noisy is this scan? High-pass noise in even soft tissue, and the photon budget that explains it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from REACTKDTrainLib.low_dose.field_of_view import NoTissue

SOFT_TISSUE_HU = (-100.0, 150.0)
EROSION = 3
HIGH_PASS = 5
"""Side in pixels of the local mean that is subtracted."""
EDGE_SPREADS = 2.0
"""Robust standard deviations above the median local range at which a pixel counts as an edge."""
MOST_SLICES = 16
"""Noise is measured in so many slices at most."""
FEWEST_VOXELS = 500
LARGEST_FACTOR = 5.0


def measured_slices(count: int) -> np.ndarray:
    """(n,) indices of up to 16 slices, spread evenly over a scan of `count`."""
    return np.unique(np.linspace(0, count - 1, min(MOST_SLICES, count)).round().astype(int))


def soft_tissue(hu: np.ndarray) -> np.ndarray:
    """(D, H, W) bool: even tissue of -100..150 HU, eroded in-plane by 3 pixels, away from edges inside it.

    The slices are smoothed before the threshold, so that the tails of the noise are not cut off.
    """
    return np.stack([_even_tissue(plane.astype(np.float32)) for plane in hu])


def _even_tissue(plane: np.ndarray) -> np.ndarray:
    smooth = ndimage.uniform_filter(plane, HIGH_PASS)
    mask = (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
    mask = ndimage.binary_erosion(mask, iterations=EROSION)
    if not mask.any():
        return mask
    # Edges within the window (fat to muscle) stand out from the local range that noise alone leaves.
    local_range = ndimage.maximum_filter(smooth, HIGH_PASS) - ndimage.minimum_filter(smooth, HIGH_PASS)
    middle = np.median(local_range[mask])
    spread = 1.4826 * np.median(np.abs(local_range[mask] - middle))
    return mask & (local_range <= middle + EDGE_SPREADS * spread)


def high_pass_noise(image: np.ndarray, mask: np.ndarray) -> float:
    """Robust std (1.4826 MAD) of `image` (D, H, W) minus its local in-plane mean, inside `mask`.

    Blind to anatomy that changes slowly; sees about the same share of the noise in every scan.
    """
    residues = [
        (plane - ndimage.uniform_filter(plane, HIGH_PASS))[inside]
        for plane, inside in zip(image.astype(np.float32), mask)
        if inside.any()
    ]
    values = np.concatenate(residues)
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def calibrated_budget(
    hu: np.ndarray | torch.Tensor, budget: float, quantum_noise: Callable[[np.ndarray], np.ndarray]
) -> float:
    """I0 scaled by (simulated / measured native noise)^2, within a factor of 5.

    Edges that `soft_tissue` leaves in are taken for noise: on drawn bodies of known I0 0.68 to 0.84 of it is found.

    hu: (D, H, W) HU. budget: the default I0, counts in a bin. quantum_noise: simulates, for some slices in HU, the
    noise in HU that the default I0 would have left. Raises: NoTissue.
    """
    array = hu.detach().cpu().numpy() if isinstance(hu, torch.Tensor) else np.asarray(hu)
    part = array[measured_slices(len(array))]
    mask = soft_tissue(part)
    if mask.sum() < FEWEST_VOXELS:
        raise NoTissue("The CT has too little even soft tissue to measure its noise in; simulate without calibration.")
    ratio = (high_pass_noise(quantum_noise(part), mask) / max(high_pass_noise(part, mask), 1e-6)) ** 2
    return budget * float(np.clip(ratio, 1.0 / LARGEST_FACTOR, LARGEST_FACTOR))
