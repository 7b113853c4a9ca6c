"""Writes that are whole or absent: write beside the target, then rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from REACTKDLib.core.errors import OutputNotWritable


@contextmanager
def written_beside(target: Path | str) -> Iterator[Path]:
    """Yield a path beside `target` for a file or folder; on success it takes the target's place, on failure it goes.

    The suffixes of the target are kept, since image writers choose the format by them. Missing parents are made.

    Raises: OutputNotWritable when the place cannot be written.
    """
    target = Path(target)
    beside = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _take_place(beside, target)
    except OSError as error:
        raise OutputNotWritable(
            f"{target} cannot be written ({error.strerror or error}); choose a folder that you may write to."
        ) from error
    finally:
        _remove(beside)


def write_text(target: Path | str, text: str) -> None:
    """Write `text` as UTF-8 with line feeds, whole or not at all. Raises: OutputNotWritable."""
    with written_beside(target) as beside:
        beside.write_bytes(text.encode("utf-8"))


def _take_place(beside: Path, target: Path) -> None:
    # os.replace does not put a folder over a folder that holds files, so the old one steps aside first.
    if not (beside.is_dir() and target.exists()):
        os.replace(beside, target)
        return
    old = target.with_name(f".{os.getpid()}.old.{target.name}")
    os.replace(target, old)
    try:
        os.replace(beside, target)
    except OSError:
        os.replace(old, target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
