"""White noise for sinograms: the same numbers for the same seed and slice on every device, with correlation along z."""

from __future__ import annotations

import math

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError

DIRECT, QUANTUM, ELECTRONIC = 0, 1, 2
"""Streams: the one-shot simulation and the two training fields never share a random number."""


def check_seed(seed: int) -> int:
    """Return `seed` as an int of 0 or more. Raises: UsageError."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError(f"The seed is {seed}, but it must be a whole number of 0 or more.")
    return int(seed)


def overlap_kernel(thickness_mm: float, increment_mm: float) -> np.ndarray:
    """(n,) filter along z that turns white slices into slices as thick as `thickness_mm` every `increment_mm`.

    Slices that share rays share noise: lag l is correlated by max(0, 1 - l increment / thickness). The filter is the
    minimum-phase factor of that sequence (unit sum of squares), so the variance stays and the correlation is exact for
    any ratio; for a whole ratio it is the plain mean. One tap where slices do not overlap.
    """
    ratio = thickness_mm / increment_mm
    taps = math.ceil(ratio - 1e-3)
    if taps <= 1:
        return np.ones(1)
    if abs(ratio - taps) <= 1e-3:
        return np.full(taps, 1.0 / math.sqrt(taps))
    lags = np.abs(np.arange(1 - taps, taps))
    roots = np.roots(1.0 - lags / ratio)
    inner = sorted(roots, key=abs)[: taps - 1]
    kernel = np.real(np.poly(inner))
    return kernel / np.linalg.norm(kernel)


class WhiteNoise:
    """Standard normal sinograms, drawn slice by slice on the CPU from (seed, stream, absolute slice index).

    Drawing order, batch size and device do not matter. With a `kernel` of n taps slice i is the filtered sum of the
    independent slices i..i+n-1.
    """

    def __init__(self, shape: tuple[int, int], seed: int, stream: int, kernel: np.ndarray | None = None) -> None:
        self.shape = shape
        self._kernel = np.ones(1) if kernel is None else kernel
        # The engine keeps 32 bits of a seed. Adding the slice index to a hash keeps all slices of one volume apart.
        self._base = int(np.random.SeedSequence((check_seed(seed), stream)).generate_state(1)[0])
        self._recent: dict[int, torch.Tensor] = {}

    def fill(self, out: torch.Tensor, index: int) -> None:
        """Write the noise of absolute slice `index` into `out`, a contiguous CPU tensor of `shape`."""
        if len(self._kernel) == 1:
            self._draw(out, index)
            return
        needed = range(index, index + len(self._kernel))
        self._recent = {i: white for i, white in self._recent.items() if i in needed}
        out.zero_()
        for weight, i in zip(self._kernel, needed):
            if i not in self._recent:
                self._recent[i] = torch.empty(self.shape)
                self._draw(self._recent[i], i)
            out.add_(self._recent[i], alpha=float(weight))

    def _draw(self, out: torch.Tensor, index: int) -> None:
        generator = torch.Generator().manual_seed((self._base + index) % 2**32)
        out.normal_(generator=generator)
