"""Parallel-beam line integrals of slices through the Fourier slice theorem."""

from __future__ import annotations

import torch
from torch.nn import functional

from REACTKDTrainLib.low_dose.gridding import (
    MARGIN,
    PolarGeometry,
    apodization,
    gather_matrix,
    half_pixel_phase,
)


class Projector:
    """Line integrals of square slices over half a turn.

    Exact for band-limited slices: agrees with pixel-driven projectors to the interpolation error of those. Pixels, bins
    and angles are placed as in `gridding`.
    """

    def __init__(self, geometry: PolarGeometry, device: torch.device | str = "cpu") -> None:
        self.geometry = geometry
        self.device = torch.device(device)
        self._matrix = gather_matrix(geometry, self.device)
        phase = torch.from_numpy(half_pixel_phase(geometry)).conj().resolve_conj()
        self._phase = phase.to(torch.complex64).to(self.device)[:, :, None]
        taper = torch.from_numpy(apodization(geometry)).to(torch.float32)
        self._inverse_taper = (1.0 / (taper[:, None] * taper[None, :])).to(self.device)

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
