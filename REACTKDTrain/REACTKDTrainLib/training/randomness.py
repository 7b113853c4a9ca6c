"""Seeds that are functions of what they are for, never of what happened before.

So a run that was killed and resumed, and one that is split over processes, draw the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*what: object) -> int:
    """A seed in [0, 2^62) from names and numbers."""
    text = "\0".join(str(w) for w in what)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little") >> 2


def generator_of(*what: object) -> torch.Generator:
    """A CPU generator started from `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*what))


def order_of(n: int, *what: object) -> list[int]:
    """A random order of n things."""
    return torch.randperm(n, generator=generator_of("order", *what)).tolist()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks are made from this seed, dropout is drawn from it; the process's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
