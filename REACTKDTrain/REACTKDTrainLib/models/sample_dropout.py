"""Dropout with masks drawn from a seed per case, independent of the batch, of padding and of the processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SampleDropout(nn.Module):
    """As nn.Dropout, but inside `armed` each case of (B, n, Q) or (B, Q) draws from its own generator."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self._draws: list[tuple[torch.Generator, int]] | None = None

    @contextmanager
    def armed(self, seeds: Sequence[int], nodes: Sequence[int]) -> Iterator[None]:
        """Draw from `seeds` (B,) inside the context. nodes: (B,), number of real rows per case; the rest is padding."""
        self._draws = [(torch.Generator().manual_seed(int(s)), n) for s, n in zip(seeds, nodes, strict=True)]
        try:
            yield
        finally:
            self._draws = None

    def forward(self, x: Tensor) -> Tensor:
        if self._draws is None or not self.training or self.p == 0:
            return F.dropout(x, self.p, self.training)
        keep = torch.zeros(x.shape)
        for row, (draw, nodes) in enumerate(self._draws):
            if x.dim() == 2:
                keep[row] = (torch.rand(x.shape[1], generator=draw) >= self.p).float()
            else:
                keep[row, :nodes] = (torch.rand(nodes, x.shape[2], generator=draw) >= self.p).float()
        return x * keep.to(x.device) / (1 - self.p)


@contextmanager
def drawn_from(seed: int | None) -> Iterator[None]:
    """Draw the dropout of one case from its own seed and restore the global generator; None: use the global one."""
    kept = torch.get_rng_state()
    if seed is not None:
        torch.manual_seed(int(seed))
    try:
        yield
    finally:
        if seed is not None:
            torch.set_rng_state(kept)
