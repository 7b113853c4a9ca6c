"""Noise of the line integrals at full resolution, from their standard deviation at a quarter of it."""

from __future__ import annotations

import torch
from torch.nn import functional

from REACTKDTrainLib.low_dose.line_integrals import COARSE
from REACTKDTrainLib.low_dose.physics import STARVATION_FLOOR
from REACTKDTrainLib.low_dose.randomness import WhiteNoise

MODES = ("log", "linear")


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
