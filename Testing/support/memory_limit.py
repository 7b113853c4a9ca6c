"""Limits of the system on the memory of a process."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def address_space(process: int | str = "self") -> int:
    """Return the size of the address space of a process, in bytes (Linux)."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def short_of_memory(spare: int) -> Iterator[None]:
    """Let this process take only `spare` bytes more than it has now; for a child process that a test starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
