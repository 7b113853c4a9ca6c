"""Seeds that are functions of what they are for, never of what happened before.

So a run that was killed and resumed, and one that is split over processes, draw the same numbers.
"""

from __future__ import annotations

import hashlib

import torch


def seed_of(*what: object) -> int:
    """A seed in [0, 2^62) from names and numbers."""
    text = "\0".join(str(w) for w in what)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 2


def generator_of(*what: object) -> torch.Generator:
    """A CPU generator started from `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*what))


def order_of(n: int, *what: object) -> list[int]:
    """A random order of n things."""
    return torch.randperm(n, generator=generator_of("order", *what)).tolist()
