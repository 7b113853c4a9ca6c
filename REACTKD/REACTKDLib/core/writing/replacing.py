"""Replaces several entries of a folder all or none, even if the process is killed meanwhile or the undo fails.

    <home>/.reactkd-<process>+/new/    what shall take its place in <home>
                               old/    what it replaces; there from the first move to the last undo

Without `old`, nothing was moved, and the hidden folder can be removed. With it, the next process completes the moves:
every entry still in `new` is moved to its target. All old entries are moved away before the first new one is moved in,
reports (.json) first, and new reports are moved in last: old and new entries are never mixed, and a folder with its
report is complete.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from REACTKDLib.core.writing.exchange import exchange
from REACTKDLib.core.writing.owners import PREFIX, hidden_name, is_left_over, is_of_this_user

_NEW, _OLD, _STAGE = "new", "old", "+"
_SHARE = 20  # searching for leftovers may take a twentieth of the time
_next_look: dict[Path, float] = {}
_abandoned: set[Path] = set()  # stages of this process whose undo failed


def final_place(path: Path) -> Path:
    """Return where a path will be after the commit of its stage, for messages; other paths are unchanged."""
    parts = path.parts
    for n, part in enumerate(parts[:-1]):
        if part.startswith(PREFIX) and part.endswith(_STAGE) and parts[n + 1] == _NEW:
            return final_place(Path(*parts[:n], *parts[n + 2 :]))
    return path


class Stage:
    """A hidden folder in `home`; `commit` moves the content of `new` into `home`."""

    def __init__(self, home: Path) -> None:
        """Create the folder. Raises: OSError."""
        self.home = home
        self.folder = home / (hidden_name() + _STAGE)
        self.folder.mkdir(mode=0o700)
        self.new, self._old = self.folder / _NEW, self.folder / _OLD
        self.new.mkdir()

    def commit(self) -> None:
        """Move every entry of `new` into place. Raises: OSError; all old entries are then back in place.

        If the undo fails too, nothing is deleted, and the next `recover` completes the moves.
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
        """Remove the folder and its contents, except old entries that could not be moved back."""
        if self._old.exists() and any(self.new.iterdir()):
            _abandoned.add(self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _undo(self, names: list[str]) -> None:
        with suppress(OSError):
            for name in names:
                # An entry still in `new` has not been moved.
                if not _is_there(self.new / name):
                    os.rename(self.home / name, self.new / name)
            for name in reversed(names):
                if _is_there(self._old / name):
                    os.rename(self._old / name, self.home / name)
            self._old.rmdir()


def recover(home: Path) -> None:
    """Complete or remove what dead processes left in `home`; folders of running ones are not touched. Never raises.

    Folders of other users are left to them, and links in a folder are not followed: everybody who may write to `home`
    could otherwise choose what is moved into it.
    """
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
    """Call `recover` unless it ran a moment ago: in a folder of thousands of files even the check takes time."""
    started = time.monotonic()
    if started >= _next_look.get(home, 0.0):
        recover(home)
        ended = time.monotonic()
        _next_look[home] = ended + _SHARE * (ended - started)


def _finish(left: Path, home: Path) -> None:
    if not left.name.endswith(_STAGE) or left.is_symlink() or not left.is_dir():
        remove(left)
        return
    if not is_of_this_user(left, stat.S_ISDIR):
        return
    own = home / (hidden_name() + _STAGE)
    os.rename(left, own)  # only one of several processes succeeds
    _abandoned.discard(left)
    try:
        if _is_folder(own / _OLD) and _is_folder(own / _NEW):
            _move(own / _NEW, own / _OLD, home)
    except OSError:
        _abandoned.add(own)
        raise
    shutil.rmtree(own, ignore_errors=True)


def _move(new: Path, old: Path, home: Path) -> None:
    entries = _in_order(new)
    for entry in reversed(entries):
        if _is_there(home / entry.name) and not _is_there(old / entry.name):
            take_access(entry, home / entry.name)
            os.rename(home / entry.name, old / entry.name)
    for entry in entries:
        if _is_there(home / entry.name):  # another process has written a newer entry meanwhile
            remove(entry)
        else:
            os.rename(entry, home / entry.name)


def begin_closed(new: Path, old: Path) -> None:
    """Create the empty file `new`, closed to others, if it will replace a file: `take_access` opens it when it is
    written. Raises: OSError.
    """
    if os.name != "nt" and old.is_file() and not old.is_symlink():
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def take_access(new: Path, old: Path) -> None:
    """Give the file `new` the permissions and, if possible, the group of the file `old` that it will replace.

    A file that its owner closed to others would otherwise be open to them after the next write. If the group cannot be
    kept, the new one has the rights of others. Never raises; does nothing unless both are files.
    """
    with suppress(OSError):
        found, own = os.lstat(old), os.lstat(new)
        if os.name == "nt" or not (stat.S_ISREG(found.st_mode) and stat.S_ISREG(own.st_mode)):
            return
        mode = stat.S_IMODE(found.st_mode) & 0o777
        if own.st_gid != found.st_gid:
            try:
                os.chown(new, -1, found.st_gid)
            except OSError:  # only a group of this user can be given
                mode = mode & 0o707 | (mode & 0o007) << 3
        os.chmod(new, mode)


def _placed_at_once(entry: Path, target: Path) -> bool:
    if _is_there(target):
        take_access(entry, target)
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


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def remove(path: Path) -> None:
    """Remove a file or folder if it exists, as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
