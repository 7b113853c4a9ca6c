"""The polar Fourier grid: Kaiser-Bessel interpolation between a half turn of views and a Cartesian Fourier grid.

One sparse matrix does both directions (Fessler and Sutton, IEEE TSP 51(2), 2003; kernel shape after Beatty et al., IEEE
TMI 24(6), 2005): from the grid to the samples of parallel projections, and from samples to the grid.

Conventions. Pixels are at x = ix - (N-1)/2 (and y alike), bins at s = b - (B-1)/2, view v at angle pi v / M,
s = x cos + y sin, all in pixels; frequency k of a view is at k/B cycles per pixel. x is the last image axis. Only the
half plane of non-negative y frequencies is stored, x frequencies first; the columns run MARGIN past 0 and past Nyquist.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch

OVERSAMPLING = 1.25
KERNEL_WIDTH = 6
MARGIN = KERNEL_WIDTH // 2
VIEW_BLOCK = 90
"""Views per block while the matrix is built: bounds the temporaries."""


@dataclass(frozen=True)
class PolarGeometry:
    """Sizes of one square slice and its half turn of views.

    size: N pixels a side (a multiple of 4). views: M over 180 degrees (a multiple of 4). bins: B = 1.5 N, so that the
    diagonal of the slice fits.
    """

    size: int
    views: int

    @property
    def bins(self) -> int:
        """B detector bins, a pixel wide each."""
        return self.size * 3 // 2

    @property
    def frequencies(self) -> int:
        """K = B/2 + 1 of a real view of B bins."""
        return self.bins // 2 + 1

    @property
    def grid(self) -> int:
        """Side G of the Fourier grid."""
        return 2 * math.ceil(self.size * OVERSAMPLING / 2)

    @property
    def columns(self) -> int:
        """Stored y frequencies: G/2 + 1 and a margin on both sides."""
        return self.grid // 2 + 1 + 2 * MARGIN

    def angles(self) -> np.ndarray:
        """(M,) view angles, radians."""
        return np.arange(self.views) * (np.pi / self.views)


def _shape_parameter() -> float:
    ratio = KERNEL_WIDTH / OVERSAMPLING * (OVERSAMPLING - 0.5)
    return math.pi * math.sqrt(ratio * ratio - 0.8)


def _kernel(distance: np.ndarray) -> np.ndarray:
    """Kaiser-Bessel kernel at `distance` grid steps, same shape; 0 beyond half the width."""
    inside = 1.0 - (2.0 * distance / KERNEL_WIDTH) ** 2
    return np.where(inside > 0, np.i0(_shape_parameter() * np.sqrt(np.maximum(inside, 0.0))), 0.0) / KERNEL_WIDTH


def apodization(geometry: PolarGeometry) -> np.ndarray:
    """(N,) Fourier transform of the kernel at the pixels, by which images are divided along each axis."""
    offset = np.arange(geometry.size) - geometry.size // 2
    root = np.sqrt(_shape_parameter() ** 2 - (np.pi * KERNEL_WIDTH * offset / geometry.grid) ** 2)
    return np.sinh(root) / root


def half_pixel_phase(geometry: PolarGeometry) -> np.ndarray:
    """(M, K) complex exp(i pi k (cos + sin + B - 1) / B): shifts a view's FFT to the positions of bins and pixels."""
    angle = geometry.angles()[:, None]
    k = np.arange(geometry.frequencies)[None, :]
    return np.exp(1j * np.pi * k / geometry.bins * (np.cos(angle) + np.sin(angle) + geometry.bins - 1))


def interpolation_entries(geometry: PolarGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Grid cells and weights of each sample: indices int32 and weights float32, both (M, K, 36).

    The cell of x frequency mx and y frequency my is (mx mod G) * columns + my + MARGIN. The weights carry (-1)^(mx+my),
    which puts the image's origin in the middle of the grid.
    """
    samples = (geometry.views, geometry.frequencies, KERNEL_WIDTH**2)
    indices = np.empty(samples, dtype=np.int32)
    weights = np.empty(samples, dtype=np.float32)
    radius = np.arange(geometry.frequencies) * (geometry.grid / geometry.bins)
    angles = geometry.angles()
    for start in range(0, geometry.views, VIEW_BLOCK):
        block = slice(start, min(start + VIEW_BLOCK, geometry.views))
        mx, wx = _neighbors(radius * np.cos(angles[block, None]))
        my, wy = _neighbors(radius * np.sin(angles[block, None]))
        cell = (mx % geometry.grid)[..., :, None] * geometry.columns + (my + MARGIN)[..., None, :]
        indices[block] = cell.reshape(*cell.shape[:2], -1)
        weights[block] = (wx[..., :, None] * wy[..., None, :]).reshape(*cell.shape[:2], -1)
    return indices, weights


def _neighbors(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel's neighbors along one axis: integer positions and signed weights, (..., KERNEL_WIDTH)."""
    first = np.floor(position).astype(np.int64) - MARGIN + 1
    neighbor = first[..., None] + np.arange(KERNEL_WIDTH)
    sign = 1.0 - 2.0 * (neighbor % 2)
    return neighbor, _kernel(position[..., None] - neighbor) * sign


def gather_matrix(geometry: PolarGeometry, device: torch.device) -> torch.Tensor:
    """Sparse (M K, G columns) matrix from the grid to the samples."""
    indices, weights = interpolation_entries(geometry)
    rows = np.arange(0, indices.size + 1, KERNEL_WIDTH**2, dtype=np.int32)
    return _sparse(rows, indices.ravel(), weights.ravel(), geometry, device, transposed=False)


def scatter_matrix(geometry: PolarGeometry, device: torch.device) -> torch.Tensor:
    """Sparse (G columns, M K) matrix from the samples to the grid, the transpose of `gather_matrix`."""
    from scipy.sparse import csr_matrix

    indices, weights = interpolation_entries(geometry)
    rows = np.arange(0, indices.size + 1, KERNEL_WIDTH**2, dtype=np.int32)
    shape = (geometry.views * geometry.frequencies, geometry.grid * geometry.columns)
    turned = csr_matrix((weights.ravel(), indices.ravel(), rows), shape=shape).T.tocsr()
    return _sparse(turned.indptr, turned.indices, turned.data, geometry, device, transposed=True)


def _sparse(
    rows: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    geometry: PolarGeometry,
    device: torch.device,
    transposed: bool,
) -> torch.Tensor:
    shape = (geometry.views * geometry.frequencies, geometry.grid * geometry.columns)
    parts = (torch.from_numpy(part).to(device) for part in (rows, indices, values))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        # PyTorch 2.11 gives this warning even if the checks are set explicitly, as here
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        return torch.sparse_csr_tensor(*parts, size=shape[::-1] if transposed else shape, check_invariants=False)
