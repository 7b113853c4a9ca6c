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
WINDOWS = (11, 9, 7, 5)
"""Sides in pixels of the windows in which noise is measured: the largest with enough places in soft tissue is taken."""
MOST_WINDOWS = 10_000
METHOD = "windows/1"
"""Changed when the estimate of the number of photons changes, so that older test sets are not reused."""
EDGE_SPREADS = 2.0
"""Robust standard deviations above the median local range at which a pixel counts as an edge."""
MOST_SLICES = 16
"""Noise is measured in at most this many slices."""
FEWEST_VOXELS = 500
LARGEST_FACTOR = 10.0


def measured_slices(count: int) -> np.ndarray:
    """(n,) indices of up to 16 slices, spread evenly over a scan of `count`."""
    return np.unique(np.linspace(0, count - 1, min(MOST_SLICES, count)).round().astype(int))


def soft_tissue(hu: np.ndarray) -> np.ndarray:
    """(D, H, W) bool: even tissue of -100..150 HU, eroded in-plane by 3 pixels, away from edges inside it.

    The slices are smoothed before the threshold, so that the tails of the noise are not cut off.
    """
    return np.stack([_even_tissue(plane.astype(np.float32)) for plane in hu])


def _even_tissue(plane: np.ndarray) -> np.ndarray:
    smooth = _smooth(plane)
    mask = _tissue(smooth)
    if not mask.any():
        return mask
    # Edges within the window (fat to muscle) stand out from the local range that noise alone leaves.
    local_range = ndimage.maximum_filter(smooth, HIGH_PASS) - ndimage.minimum_filter(smooth, HIGH_PASS)
    middle = np.median(local_range[mask])
    spread = 1.4826 * np.median(np.abs(local_range[mask] - middle))
    return mask & (local_range <= middle + EDGE_SPREADS * spread)


def _smooth(plane: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(plane, HIGH_PASS)


def _tissue(smooth: np.ndarray) -> np.ndarray:
    """(H, W) bool: soft tissue of a smoothed slice, eroded."""
    return ndimage.binary_erosion(_within(smooth), iterations=EROSION)


def _within(smooth: np.ndarray) -> np.ndarray:
    return (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])


def _whole_windows(plane: np.ndarray, side: int) -> np.ndarray:
    """(H, W) bool: where a window of `side` pixels, and the local means that are subtracted in it, lie in soft tissue.

    Windows that extend over skin or into lung give similar, too small numbers of photons: a second, wrong mode.
    """
    reach = 2 * (side // 2 + HIGH_PASS // 2) + 1
    return ndimage.minimum_filter(_within(_smooth(plane)), reach)


def calibrated_budget(
    hu: np.ndarray | torch.Tensor, budget: float, noise_of: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> float:
    """I0 at which the simulated noise of a scan is the noise found in it, within a factor of 10 of the default.

    The high-pass noise of small windows of soft tissue is compared with the simulated one of the same window. Each
    window gives a number of photons; the most frequent one is taken. A window with a vessel or an edge in it looks
    noisier and gives fewer photons, but such windows are few and do not agree with each other, so they do not move the
    most frequent number. On phantoms of known I0 0.93 to 1.03 of it is found, at 1.6 mm 0.82 to 1.04 (see
    docs/explanation/low_dose.md). If pixels are so large, or the scan so small, that few windows fit into soft tissue,
    smaller windows are taken.

    hu: (D, H, W) HU. budget: the default I0, counts in a bin. noise_of: simulates, for some slices in HU, the quantum
    and the electronic noise in HU of a scan at the default I0. Raises: NoTissue.
    """
    array = hu.detach().cpu().numpy() if isinstance(hu, torch.Tensor) else np.asarray(hu)
    part = array[measured_slices(len(array))].astype(np.float32)
    for side in WINDOWS:
        tissue = np.stack([_whole_windows(plane, side) for plane in part])
        if tissue.sum() >= FEWEST_VOXELS:
            break
    else:
        raise NoTissue("The CT has too little soft tissue to measure its noise in; simulate without calibration.")
    found, quantum, electronic = (_local_variance(image, tissue, side) for image in (part, *noise_of(part)))
    # found = quantum / f + electronic / f^2 for a scan with f times the default photons, solved for f
    root = np.sqrt(quantum**2 + 4 * electronic * found)
    photons = (quantum + root) / (2 * np.maximum(found, 1e-12))
    return budget * float(np.clip(np.exp(_mode(np.log(photons))), 1.0 / LARGEST_FACTOR, LARGEST_FACTOR))


def _local_variance(image: np.ndarray, tissue: np.ndarray, side: int) -> np.ndarray:
    """(n,) mean squares of `image` (D, H, W) minus its local in-plane mean, in windows of `side` pixels around voxels
    of `tissue`.
    """
    squares = (np.square(plane - _smooth(plane)) for plane in image.astype(np.float32))
    windows = [ndimage.uniform_filter(plane, side)[inside] for plane, inside in zip(squares, tissue, strict=True)]
    every = np.concatenate(windows)
    return every[:: max(1, len(every) // MOST_WINDOWS)].astype(np.float64)


def _mode(values: np.ndarray) -> float:
    """Where the density of `values` (n,) is largest, by Gaussian kernels whose width ignores outliers."""
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    if spread < 1e-6:
        return float(np.median(values))
    width = 1.06 * spread * len(values) ** -0.2  # Silverman's rule
    places = np.median(values) + spread * np.linspace(-4, 4, 401)
    return float(places[np.argmax([np.exp(-0.5 * ((values - place) / width) ** 2).sum() for place in places])])
