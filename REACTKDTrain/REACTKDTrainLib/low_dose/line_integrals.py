"""Line integrals of attenuation at a quarter of the resolution, which is all that the variance of the noise needs, and
the noise of the line integrals at full resolution from its standard deviation there.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from REACTKDTrainLib.low_dose.gridding import PolarGeometry
from REACTKDTrainLib.low_dose.physics import STARVATION_FLOOR, attenuation
from REACTKDTrainLib.low_dose.projection import Projector
from REACTKDTrainLib.low_dose.randomness import WhiteNoise

MODES = ("log", "linear")
COARSE = 4
"""Pooling of pixels, bins and views; it changes the implied noise std by about 3 % rms and its mean by 0.1 %."""


class CoarseLineIntegrals:
    """Line integrals of (S, H, W) slices in HU for a full-resolution `geometry`; smaller slices are padded with air."""

    def __init__(self, geometry: PolarGeometry, mu_water: float, device: torch.device) -> None:
        self.size = geometry.size
        self.geometry = PolarGeometry(geometry.size // COARSE, geometry.views // COARSE)
        self._mu_water = mu_water
        self._projector = Projector(self.geometry, device)

    def __call__(self, hu: torch.Tensor, spacing_mm: float) -> torch.Tensor:
        """(S, M/4, B/4) line integrals, without unit and not negative, of `hu` (S, H, W), pixels of `spacing_mm`."""
        mu = attenuation(hu.to(self._projector.device), self._mu_water)
        height, width = mu.shape[1:]
        if (height, width) != (self.size, self.size):
            top, left = centered(self.size, height), centered(self.size, width)
            mu = functional.pad(mu, (left, self.size - width - left, top, self.size - height - top))
        return self._projector(functional.avg_pool2d(mu, COARSE)).mul_(COARSE * spacing_mm).clamp_(min=0.0)

    def bin_distances_mm(self, spacing_mm: float) -> torch.Tensor:
        """(B/4,) signed distance of each coarse bin from the center, mm."""
        bins = self.geometry.bins
        return (torch.arange(bins) - (bins - 1) / 2) * (COARSE * spacing_mm)


def centered(outer: int, inner: int) -> int:
    """Index at which `inner` pixels start in the middle of `outer`."""
    return (outer - inner) // 2


def noisy_sinograms(std: torch.Tensor, noise: WhiteNoise, first: int, mode: str) -> torch.Tensor:
    """(S, M, B) errors of the line integrals; `std` (S, M/4, B/4) is interpolated bilinearly in view and bin.

    first: absolute index of the first slice. mode: `linear` gives z std; `log` gives -log(max(1 + z std, 1/16)), what
    the logarithm makes of a count that is off by that share. Works slice by slice: its temporaries stay in cache.
    """
    views, bins = noise.shape
    out = torch.empty((len(std), views, bins), device=std.device)
    host = None if std.device.type == "cpu" else torch.empty(noise.shape)
    # Half a turn on, the same ray is met again from the other side.
    wrapped = torch.cat((std, std[:, :1].flip(2)), dim=1)
    for i, coarse in enumerate(wrapped):
        if host is None:
            noise.fill(out[i], first + i)
        else:
            noise.fill(host, first + i)
            out[i].copy_(host)
        fine = functional.interpolate(coarse[None], size=bins, mode="linear", align_corners=False)[0]
        by_phase = out[i].view(views // COARSE, COARSE, bins)
        for phase in range(COARSE):
            by_phase[:, phase].mul_(torch.lerp(fine[:-1], fine[1:], phase / COARSE))
        if mode == "log":
            out[i].add_(1.0).clamp_(min=STARVATION_FLOOR).log_().neg_()
    return out
