"""An output folder that gets all results or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable


@contextmanager
def all_or_nothing(output: Path) -> Iterator[Path]:
    """Yield a hidden folder to write into; at the end its entries move to `output`, on any error nothing is left.

    A folder that exists keeps its other files; entries of the same name are replaced. A folder that does not exist
    appears at once, with its parents. Whether it can be written is known before the work begins.

    Raises: OutputNotWritable.
    """
    output = Path(output).absolute()
    made: list[Path] = []
    stage: Path | None = None
    done = False
    try:
        try:
            existed = output.is_dir()
            # Inside a folder that exists: its parent may belong to somebody else or lie on another disk.
            home = output if existed else output.parent
            _make(home, made)
            if output.exists() and not existed:
                raise NotADirectoryError(0, "A file has that name")
            stage = Path(tempfile.mkdtemp(prefix=".reactkd-", dir=home))
        except OSError as error:
            raise _not_writable(error) from error
        yield stage
        try:
            _move(stage, output, existed)
        except OSError as error:
            raise _not_writable(error) from error
        done = True
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for folder in reversed(made if not done else []):
            try:
                folder.rmdir()
            except OSError:  # somebody else put something there meanwhile
                break


def _make(folder: Path, made: list[Path]) -> None:
    """Make `folder` and its parents, noting which ones were new."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir()
        made.append(new)


def _move(stage: Path, output: Path, existed: bool) -> None:
    if not existed:
        mask = os.umask(0)
        os.umask(mask)
        stage.chmod(0o777 & ~mask)
        os.rename(stage, output)
        return
    undo: list[tuple[Path, Path]] = []
    replaced = stage / ".replaced"
    entries = sorted(stage.iterdir())
    replaced.mkdir()
    try:
        for entry in entries:
            target = output / entry.name
            if target.exists() or target.is_symlink():
                os.rename(target, replaced / entry.name)
                undo.append((replaced / entry.name, target))
            os.rename(entry, target)
            undo.append((target, entry))
    except BaseException:
        for now, before in reversed(undo):
            os.rename(now, before)
        raise


def _not_writable(error: OSError) -> OutputNotWritable:
    why = (error.strerror or "the disk refused it").lower()
    return OutputNotWritable(f"The output folder cannot be written ({why}); choose another folder with --output.")
