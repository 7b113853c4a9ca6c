"""Fixed Gaussian bands of an image: what is finer than each scale, and what is left."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

SIGMAS = (0.6, 1.0, 1.7, 2.8)
N_BANDS = len(SIGMAS) + 1


@lru_cache(maxsize=64)
def _smoother(n: int, sigma: float) -> Tensor:
    """(n, n) matrix that smooths along one axis; the edge voxel is repeated outside the image."""
    reach = int(3 * sigma + 0.999)
    offset = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.arange(n)
    for shift, weight in zip(offset.tolist(), kernel.tolist(), strict=True):
        matrix[rows, (rows + shift).clamp(0, n - 1)] += weight
    return matrix.float()


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of (..., D, H, W) by `sigma` voxels: three products with banded matrices.

    Matrix products run near the processor's peak, and in the same way on CPU and GPU, where a one-channel 3-D
    convolution does not.
    """
    d, h, w = (_smoother(n, sigma).to(x.device, x.dtype) for n in x.shape[-3:])
    x = x @ w.T
    x = h @ x
    return (d @ x.flatten(-2)).reshape(x.shape)


def gaussian_bands(x: Tensor) -> Tensor:
    """Split (B, 1, D, H, W) into (B, 5, D, H, W): four differences of Gaussians from fine to coarse, and the rest.

    The bands add up to the image.
    """
    levels = [x, *(smooth(x, sigma) for sigma in SIGMAS)]
    return torch.cat([a - b for a, b in zip(levels[:-1], levels[1:], strict=True)] + [levels[-1]], dim=1)
