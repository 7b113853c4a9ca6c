"""Fixed band-pass decomposition of an image by differences of Gaussians."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

SIGMAS = (0.6, 1.0, 1.7, 2.8)
N_BANDS = len(SIGMAS) + 1
_ROWS = 32  # rows of a matrix that are multiplied at a time


@lru_cache(maxsize=64)
def _smoother(n: int, sigma: float) -> Tensor:
    """Return the (n, n) matrix that smooths along one axis; the image is padded with its edge voxels."""
    reach = int(3 * sigma + 0.999)
    offset = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.arange(n)
    for shift, weight in zip(offset.tolist(), kernel.tolist(), strict=True):
        matrix[rows, (rows + shift).clamp(0, n - 1)] += weight
    return matrix.float()


@lru_cache(maxsize=64)
def _pieces(n: int, sigma: float) -> tuple[tuple[slice, Tensor], ...]:
    """Return the matrix in blocks of rows, each with only the columns that it needs, since the matrix is banded."""
    matrix = _smoother(n, sigma)
    pieces = []
    for start in range(0, n, _ROWS):
        used = torch.nonzero(matrix[start : start + _ROWS].any(dim=0)).flatten()
        columns = slice(int(used[0]), int(used[-1]) + 1)
        pieces.append((columns, matrix[start : start + _ROWS, columns].contiguous()))
    return tuple(pieces)


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of (..., D, H, W) by `sigma` voxels: three products with banded matrices.

    Matrix products run near the peak performance of the processor, and in the same way on CPU and GPU; a one-channel
    3-D convolution does not. For large matrices, products with the zeros outside the band are skipped.
    """
    shape = x.shape
    if max(shape[-3:]) <= 2 * _ROWS:  # too small for skipping to pay
        d, h, w = (_smoother(n, sigma).to(x.device, x.dtype) for n in shape[-3:])
        x = h @ (x @ w.T)
        return (d @ x.flatten(-2)).reshape(shape)
    d, h, w = ([(part, m.to(x.device, x.dtype)) for part, m in _pieces(n, sigma)] for n in shape[-3:])
    planes = x.reshape(-1, *shape[-2:])
    planes = torch.cat([planes[..., part] @ m.T for part, m in w], dim=-1)
    planes = torch.cat([m.expand(len(planes), -1, -1) @ planes[:, part] for part, m in h], dim=-2)
    stacks = planes.reshape(-1, shape[-3], shape[-2] * shape[-1])
    return torch.cat([m @ stacks[:, part] for part, m in d], dim=-2).reshape(shape)


def gaussian_bands(x: Tensor) -> Tensor:
    """Split (B, 1, D, H, W) into (B, 5, D, H, W): four differences of Gaussians from fine to coarse, and the residual.

    The bands add up to the image.
    """
    out = x.new_empty((len(x), N_BANDS, *x.shape[2:]))
    finer = x
    for n, sigma in enumerate(SIGMAS):
        coarser = smooth(x, sigma)
        out[:, n : n + 1] = finer - coarser
        finer = coarser
    out[:, -1:] = finer
    return out
