"""Slices to parallel-beam line integrals by the Fourier slice theorem, and back by filtered back-projection: each one
sparse product and one FFT, by gridding, instead of a sum over views.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.low_dose.gridding import (
    MARGIN,
    PolarGeometry,
    apodization,
    gather_matrix,
    half_pixel_phase,
    scatter_matrix,
)

WINDOWS = ("hann", "ramp")


class _Gridded:
    """Shared by both directions: half-pixel phases (M, K) complex64, and 1 over the kernel's taper (N, N)."""

    def __init__(self, geometry: PolarGeometry, device: torch.device | str = "cpu") -> None:
        self.geometry = geometry
        self.device = torch.device(device)
        self._phase = torch.from_numpy(half_pixel_phase(geometry)).to(torch.complex64).to(self.device)
        taper = torch.from_numpy(apodization(geometry)).to(torch.float32)
        self._inverse_taper = (1.0 / (taper[:, None] * taper[None, :])).to(self.device)


class Projector(_Gridded):
    """Line integrals of square slices over half a turn.

    Exact for band-limited slices: agrees with pixel-driven projectors to the interpolation error of those. Pixels, bins
    and angles are placed as in `gridding`.
    """

    def __init__(self, geometry: PolarGeometry, device: torch.device | str = "cpu") -> None:
        super().__init__(geometry, device)
        self._matrix = gather_matrix(geometry, self.device)
        self._phase = self._phase.conj().resolve_conj()[:, :, None]

    def __call__(self, slices: torch.Tensor) -> torch.Tensor:
        """Sums along rays, in pixel units: (S, N, N) float32 -> (S, M, B) float32. Multiply by the pixel size in mm."""
        geometry = self.geometry
        count, size, grid = len(slices), geometry.size, geometry.grid
        before = grid // 2 - size // 2
        after = grid - size - before
        placed = functional.pad(slices * self._inverse_taper, (before, after, before, after))
        half = torch.fft.rfft(placed.transpose(1, 2), dim=2)
        nyquist = grid // 2
        below = half[:, :, 1 : MARGIN + 1].flip(2).conj()
        above = half[:, :, nyquist - MARGIN : nyquist].flip(2).conj()
        spectrum = torch.fft.fft(torch.cat((below, half, above), dim=2), dim=1)
        columns = torch.view_as_real(spectrum.permute(1, 2, 0).contiguous()).reshape(-1, 2 * count)
        samples = (self._matrix @ columns).reshape(geometry.views, geometry.frequencies, count, 2)
        rays = torch.fft.irfft(torch.view_as_complex(samples) * self._phase, n=geometry.bins, dim=1)
        return rays.permute(2, 0, 1).contiguous()


def ramp(geometry: PolarGeometry) -> np.ndarray:
    """(K,) ramp filter per pixel, from its samples in space (Kak and Slaney, eq. 3.61), so that its mean is right."""
    distance = np.minimum(np.arange(geometry.bins), geometry.bins - np.arange(geometry.bins))
    taps = np.zeros(geometry.bins)
    taps[0] = 0.25
    odd = distance % 2 == 1
    taps[odd] = -1.0 / (np.pi * distance[odd]) ** 2
    return np.fft.rfft(taps).real


def window(geometry: PolarGeometry, kind: str, cutoff_per_pixel: float) -> np.ndarray:
    """(K,) apodizing window: `hann` falls to zero at the cut-off (cycles per pixel), `ramp` is 1 up to it.

    Raises: UsageError for another kind or a cut-off that is not above 0.
    """
    if kind not in WINDOWS:
        raise UsageError(f"The window '{kind}' is not known; choose one of {', '.join(WINDOWS)}.")
    if not cutoff_per_pixel > 0.0:
        raise UsageError(f"The window's cut-off is {cutoff_per_pixel}; give a frequency above 0 cycles/mm.")
    frequency = np.arange(geometry.frequencies) / geometry.bins
    passed = frequency <= cutoff_per_pixel
    if kind == "ramp":
        return passed.astype(float)
    return np.where(passed, 0.5 + 0.5 * np.cos(np.pi * frequency / cutoff_per_pixel), 0.0)


class BackProjector(_Gridded):
    """Filtered back-projection of half-turn sinograms to square slices.

    The matrix (36 weights for each sample; 80 MB at 512 pixels and 720 views) is built once and serves every slice and
    window. The ramp wraps around the B bins, which changes the slice by about 1e-4.
    """

    def __init__(self, geometry: PolarGeometry, device: torch.device | str = "cpu") -> None:
        super().__init__(geometry, device)
        self._matrix = scatter_matrix(geometry, self.device)
        self._ramp = ramp(geometry)

    def filter(self, kind: str = "ramp", cutoff_per_pixel: float = 1.0, scale: float = 1.0) -> torch.Tensor:
        """(M, K, 1) complex filter for `__call__`: ramp, window, phases, angle step and `scale` in one factor."""
        geometry = self.geometry
        response = self._ramp * window(geometry, kind, cutoff_per_pixel)
        # One-sided spectrum: k and -k together. The inverse real FFT doubles its inner columns, hence the halves.
        response[0] *= 0.5
        response[-1] *= 0.5
        response *= scale * math.pi / geometry.views / geometry.bins
        gain = torch.from_numpy(response).to(torch.float32).to(self.device)
        return (self._phase * gain)[:, :, None]

    def __call__(self, sinograms: torch.Tensor, filter_: torch.Tensor) -> torch.Tensor:
        """Slices, per pixel unit: (S, M, B) float32 -> (S, N, N) float32 (a view). Divide by the pixel size in mm."""
        geometry = self.geometry
        start = geometry.grid // 2 - geometry.size // 2
        half = self._folded(self._rows(sinograms, filter_)[start : start + geometry.size])
        slices = torch.fft.irfft(half, n=geometry.grid, dim=1, norm="forward")[:, start : start + geometry.size]
        return (slices * self._inverse_taper[:, :, None]).permute(2, 1, 0)

    def _rows(self, sinograms: torch.Tensor, filter_: torch.Tensor) -> torch.Tensor:
        """Filtered samples on the grid, transformed along x: (G, columns, S) complex; a method, to free its
        temporaries.
        """
        count = len(sinograms)
        samples = (torch.fft.rfft(sinograms, dim=2).permute(1, 2, 0) * filter_).contiguous()
        grid = self._matrix @ torch.view_as_real(samples).reshape(-1, 2 * count)
        del samples
        grid = grid.reshape(self.geometry.grid, self.geometry.columns, count, 2)
        return torch.fft.ifft(torch.view_as_complex(grid), dim=0, norm="forward")

    def _folded(self, rows: torch.Tensor) -> torch.Tensor:
        """Fold the margins of (N, columns, S), conjugated, into the half plane (N, G/2 + 1, S)."""
        nyquist = self.geometry.grid // 2
        half = rows[:, MARGIN : MARGIN + nyquist + 1].contiguous()
        half[:, 1 : MARGIN + 1] += rows[:, :MARGIN].flip(1).conj()
        half[:, nyquist - MARGIN : nyquist] += rows[:, MARGIN + nyquist + 1 :].flip(1).conj()
        half[:, 0] *= 2.0
        half[:, nyquist] *= 2.0
        return half
