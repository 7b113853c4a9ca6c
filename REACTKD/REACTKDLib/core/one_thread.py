"""One thread of torch for what must come out the same bit by bit, whatever the computer and the worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread inside: sums and convolutions are rounded by how they were divided among threads.

    The number of threads belongs to the process: enter it from one Python thread at a time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
