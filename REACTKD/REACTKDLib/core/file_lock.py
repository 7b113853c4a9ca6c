"""A short lock between programs on one file, held for the milliseconds in which it is read, changed and written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_S = 0.05  # the user interface may wait so long
STALE_S = 10.0  # nobody writes so long: who made the lock has died
_PAUSE_S = 0.005


class Locked(Exception):
    """Another program holds the lock."""


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of `target`, a hidden file beside it that only one program can make.

    Raises: Locked when it is not free within `WAIT_S`; OSError when the folder cannot be written.
    """
    lock = target.with_name(f".{target.name}.lock")
    _acquire(lock)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()


def _acquire(lock: Path) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return
        except FileExistsError:
            with suppress(OSError):
                if time.time() - lock.stat().st_mtime > STALE_S:
                    lock.unlink()
                    continue
        if time.monotonic() > until:
            raise Locked
        time.sleep(_PAUSE_S)
