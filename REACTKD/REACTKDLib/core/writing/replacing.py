"""Entries of a folder replaced all or none, also when the process is killed in the middle or the undo fails.

    <home>/.reactkd-<process>+/new/    what shall take its place in <home>
                               old/    what it replaces; there from the first move to the last undo

Without `old` nothing was moved, and the folder can go. With it, whoever comes next finishes the moves: every entry that
still lies in `new` goes to its place. All old entries leave before the first new one comes, reports (.json) first, and
reports come last: at no time do old and new entries stand side by side, and a folder with its report is whole.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from REACTKDLib.core.writing.exchange import exchange
from REACTKDLib.core.writing.owners import PREFIX, hidden_name, is_left_over

_NEW, _OLD, _STAGE = "new", "old", "+"
_SHARE = 20  # looking for what others left may take a twentieth of the time
_next_look: dict[Path, float] = {}
_abandoned: set[Path] = set()  # of this process: the undo failed


class Stage:
    """A hidden folder in `home`; what is put into `new` takes its place in `home` by `commit`."""

    def __init__(self, home: Path) -> None:
        """Make it. Raises: OSError."""
        self.home = home
        self.folder = home / (hidden_name() + _STAGE)
        self.folder.mkdir(mode=0o700)
        self.new, self._old = self.folder / _NEW, self.folder / _OLD
        self.new.mkdir()

    def commit(self) -> None:
        """Let every entry of `new` take its place. Raises: OSError, and then all old entries are in their places.

        Where the undo fails too, nothing is deleted, and the next `recover` finishes the moves.
        """
        entries = _in_order(self.new)
        if len(entries) == 1 and _placed_at_once(entries[0], self.home / entries[0].name):
            return
        self._old.mkdir()
        try:
            _move(self.new, self._old, self.home)
        except BaseException:
            self._undo([entry.name for entry in entries])
            raise

    def discard(self) -> None:
        """Remove the folder and what it still holds, but never something old that has no place."""
        if self._old.exists() and any(self.new.iterdir()):
            _abandoned.add(self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _undo(self, names: list[str]) -> None:
        with suppress(OSError):
            for name in names:
                # Placed by the moves, or else not moved yet: what is in `new` has not come.
                if not _is_there(self.new / name):
                    os.rename(self.home / name, self.new / name)
            for name in reversed(names):
                if _is_there(self._old / name):
                    os.rename(self._old / name, self.home / name)
            self._old.rmdir()


def recover(home: Path) -> None:
    """Finish or remove what processes that are dead left in `home`; a living one's is not touched. Never raises."""
    try:
        with os.scandir(home) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    except OSError:
        return
    for path in (home / name for name in names):
        if path in _abandoned or is_left_over(path):
            with suppress(OSError):
                _finish(path, home)


def recover_now_and_then(home: Path) -> None:
    """`recover`, unless it was done a moment ago: in a folder of thousands of files the look itself takes time."""
    started = time.monotonic()
    if started >= _next_look.get(home, 0.0):
        recover(home)
        ended = time.monotonic()
        _next_look[home] = ended + _SHARE * (ended - started)


def _finish(left: Path, home: Path) -> None:
    if not left.name.endswith(_STAGE) or left.is_symlink() or not left.is_dir():
        remove(left)
        return
    own = home / (hidden_name() + _STAGE)
    os.rename(left, own)  # of several that come at once one gets it
    _abandoned.discard(left)
    try:
        if (own / _OLD).is_dir() and (own / _NEW).is_dir():
            _move(own / _NEW, own / _OLD, home)
    except OSError:
        _abandoned.add(own)
        raise
    shutil.rmtree(own, ignore_errors=True)


def _move(new: Path, old: Path, home: Path) -> None:
    entries = _in_order(new)
    for entry in reversed(entries):
        if _is_there(home / entry.name) and not _is_there(old / entry.name):
            os.rename(home / entry.name, old / entry.name)
    for entry in entries:
        if _is_there(home / entry.name):  # while the moves waited to be finished somebody put something newer there
            remove(entry)
        else:
            os.rename(entry, home / entry.name)


def _placed_at_once(entry: Path, target: Path) -> bool:
    if _is_there(target):
        return exchange(entry, target) or _replaced_file(entry, target)
    os.rename(entry, target)
    return True


def _replaced_file(entry: Path, target: Path) -> bool:
    if entry.is_dir() or (target.is_dir() and not target.is_symlink()):
        return False
    os.replace(entry, target)
    return True


def _in_order(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: (path.suffix == ".json", path.name))


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there and as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
