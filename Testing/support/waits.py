"""Promised waits, as tests check them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from host.crowd import crowd


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that the block ends within `seconds`; on a busy computer the limit grows in proportion to its load."""
    started = time.monotonic()
    yield
    waited = time.monotonic() - started
    assert waited < seconds * crowd(), f"{waited:.2f} s instead of at most {seconds:g}"
