"""The private folder for a client's arrays, and removal of folders whose owners have ended."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from REACTKDLib.core.writing.file_lock import lock_descriptor
from REACTKDLib.core.writing.owners import is_of_this_user

PREFIX = "reactkd-worker-"
LOCK = "in-use.lock"


class ScratchFolder:
    """A folder of mode 0700 in the system's temporary folder. Names in it are numbers, so they contain no patient data.

    The operating system holds the lock on its lock file while the owner lives: a folder with a free lock belongs to a
    dead owner.
    """

    def __init__(self, parent: Path | str | None = None) -> None:
        parent = Path(parent or tempfile.gettempdir())
        remove_stale(parent)
        self._lock: IO[bytes] | None = None
        for _ in range(3):
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            self._lock = _locked(self.path / LOCK)
            if self._lock is not None:
                break  # else another owner's cleanup was faster; or the file system has no locks
        self._count = 0

    def new_name(self) -> str:
        """Return an unused file name."""
        self._count += 1
        return f"{self._count}.npy"

    def discard(self, names: Iterable[str]) -> None:
        """Remove files that are no longer needed; missing ones are ignored."""
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    def remove(self) -> None:
        """Remove the folder and all that is in it; a second call does nothing."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        remove_folder(self.path)


def remove_stale(parent: Path) -> None:
    """Remove the folders of owners that ended without cleaning up."""
    for folder in parent.glob(f"{PREFIX}*"):
        remove_abandoned(folder)


def remove_abandoned(folder: Path) -> bool:
    """Remove a folder whose owner has ended, and return True; a folder that is owned or being created is kept.

    A link, and a folder of another user, are kept too: every user may write to the system's temporary folder, and could
    otherwise choose what is removed.
    """
    with suppress(OSError):
        if not is_of_this_user(folder, stat.S_ISDIR) or not is_of_this_user(folder / LOCK, stat.S_ISREG):
            return False  # without a lock file: another owner has just created it and will lock it next
        lock = _locked(folder / LOCK)
        if lock is not None:
            lock.close()
            remove_folder(folder)
            return True
    return False


def remove_folder(folder: Path) -> None:
    """Remove a folder and its content.

    The lock file is removed last, so that files still in use on Windows are found again by it.
    """
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != LOCK:
                with suppress(OSError):
                    entry.unlink()
        if [entry.name for entry in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
        folder.rmdir()


def _locked(path: Path) -> IO[bytes] | None:
    """Return the open file with the system's lock on it; None if another process holds it, or if locks are
    unsupported.
    """
    file = path.open("a+b")
    with suppress(OSError):
        if lock_descriptor(file.fileno()):
            return file
    file.close()
    return None
