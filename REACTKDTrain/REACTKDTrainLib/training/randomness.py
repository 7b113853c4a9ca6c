"""Seeds that are functions of their purpose, never of earlier draws.

A run that was killed and resumed, or divided among processes, therefore draws the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*what: object) -> int:
    """Return a seed in [0, 2^62) computed from names and numbers."""
    text = "\0".join(str(w) for w in what)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little") >> 2


def generator_of(*what: object) -> torch.Generator:
    """Return a CPU generator seeded by `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*what))


def order_of(n: int, *what: object) -> list[int]:
    """Return a random permutation of range(n), seeded by `seed_of`."""
    return torch.randperm(n, generator=generator_of("order", *what)).tolist()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the initialization of networks and dropout inside the context; restores the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
