"""A file lock between programs, held by the operating system: it is released when the process ends, in any way.

The locks are those of `filelock`, which comes with torch. In Slicer a list can be reviewed before torch is installed;
until then equal locks are taken here, so that both kinds of program exclude each other.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT_S = 0.05  # an acceptable delay of the user interface
_PAUSE_S = 0.005
_CHECKS_REMOVAL = (3, 21)  # since this version, a lock on a removed file does not count
#: whatever the umask is: a colleague can take the lock only of a file that they may write, and a killed process leaves
#: its file behind. The file is empty.
_MODE = 0o666


class Locked(Exception):
    """Another program holds the lock."""


@contextmanager
def locked(target: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of `target`, on a hidden file beside it that is removed at the end.

    Raises: Locked if it is not free within `wait_s`; OSError if the folder cannot be written.
    """
    path = lock_of(target)
    lock = _new_lock(path)
    try:
        lock.acquire(timeout=wait_s, poll_interval=_PAUSE_S)
    except TimeoutError as error:
        raise Locked from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the release: a process that has it open notices the removal and locks a new file
        lock.release()


def prepare() -> None:
    """Import what locks need, so that the first lock does not delay the user interface."""
    _new_lock(Path())


def lock_of(target: Path) -> Path:
    """Return the file on which the lock of `target` is taken."""
    return target.with_name(f".{target.name}.lock")


def _new_lock(path: Path) -> Any:
    try:
        from filelock import FileLock
        from filelock import __version__ as version
    except ImportError:
        return _SystemLock(path)
    checks_removal = tuple(int(number) for number in re.findall(r"\d+", version)[:2]) >= _CHECKS_REMOVAL
    return FileLock(str(path), mode=_MODE) if checks_removal else _SystemLock(path)


class _SystemLock:
    """Equivalent of `filelock.FileLock` on a local disk."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, -1

    def acquire(self, timeout: float, poll_interval: float) -> None:
        until = time.monotonic() + timeout
        while not self._taken():
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(poll_interval)

    def release(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _taken(self) -> bool:
        file = os.open(self._path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), _MODE)  # as filelock does
        try:
            if hasattr(os, "fchmod"):
                with suppress(PermissionError):  # a colleague's
                    os.fchmod(file, _MODE)
            taken = lock_descriptor(file) and os.fstat(file).st_nlink > 0
        except BaseException:
            os.close(file)
            raise
        if taken:
            self._file = file
        else:
            os.close(file)
        return taken


def lock_descriptor(file: int) -> bool:
    """Take the system's lock on an open file; return False if another process holds it.

    Raises: OSError if locks are not supported.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True
