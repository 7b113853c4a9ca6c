"""A context with one torch thread, for results that must be bitwise identical on every computer and worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the body with one torch thread: the rounding of sums and convolutions depends on how they are divided among
    threads.

    The number of threads is a setting of the process: use this in one Python thread at a time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
