"""Atomic writes: to a temporary name beside the target, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.kept_files import is_whole
from REACTKDLib.core.writing.owners import hidden_name
from REACTKDLib.core.writing.refusals import refusal_of
from REACTKDLib.core.writing.replacing import (
    Stage,
    begin_closed,
    final_place,
    recover,
    recover_now_and_then,
    remove,
    take_access,
)

_BLOCK = 1 << 20
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO)
_NO_ACCESS = _("choose a folder that you may write to")


@contextmanager
def written_beside(target: Path | str) -> Iterator[Path]:
    """Yield a path beside `target` for a file or folder; on success it replaces the target, on failure it is removed.

    The suffixes of the target are kept, in lower case, since image writers choose the format by them. Missing parent
    folders are created. The data are flushed to the disk first, and archives (.npz, .pt) are checked against their own
    checksums; a writer that may silently lose bytes must check the rest itself (see `checked_stream`). Files that a
    killed process left beside the target are removed.

    Raises: OutputNotWritable if the target cannot be written.
    """
    target = Path(target)
    beside = target.with_name(hidden_name(target.name.lower()))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover_now_and_then(target.parent)
        begin_closed(beside, target)
        yield beside
        _bring_to_disk(beside)
        _take_place(beside, target)
    except OSError as error:
        raise _not_writable(target, target.parent, error) from error
    finally:
        remove(beside)


def _not_writable(target: Path, folder: Path, error: OSError) -> OutputNotWritable:
    fix = _("make room on the disk or choose another folder") if error.errno in _NO_ROOM else _NO_ACCESS
    reason = refusal_of(error, folder)
    text = _("The output {target} cannot be written ({reason}); {fix}.")
    return OutputNotWritable(text, target=final_place(target), reason=reason, fix=fix)


def write_files(folder: Path | str, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files that belong together into `folder`, by their names, all or none; return their paths.

    Raises: OutputNotWritable; the earlier files are then unchanged.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        recover(folder)
        stage = Stage(folder)
        try:
            for name, content in contents.items():
                with checked_stream(stage.new / name) as stream:
                    stream.write(content)
            stage.commit()
        finally:
            stage.discard()
    except OSError as error:
        raise _not_writable(folder, folder, error) from error
    return [folder / name for name in contents]


def write_bytes(target: Path | str, content: bytes) -> None:
    """Write `content` atomically. Raises: OutputNotWritable."""
    with written_beside(target) as beside, checked_stream(beside) as stream:
        stream.write(content)


def write_text(target: Path | str, text: str) -> None:
    """Write `text` as UTF-8 with line feeds, atomically. Raises: OutputNotWritable."""
    write_bytes(target, text.encode("utf-8"))


class CheckedStream:
    """A binary stream that records the length and CRC-32 of what was written; it cannot seek."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = self.checksum = 0

    def write(self, data: bytes | memoryview) -> int:
        """Write all of `data`. Raises: OSError."""
        data = memoryview(data).cast("B")
        written = self._stream.write(data)
        if written != len(data):
            raise OSError(errno.EIO, "the disk did not take all of it")
        self.size += written
        self.checksum = zlib.crc32(data, self.checksum)
        return written

    def flush(self) -> None:
        """Flush the buffer. Raises: OSError."""
        self._stream.flush()


@contextmanager
def checked_stream(path: Path) -> Iterator[CheckedStream]:
    """Open the new file `path` for writing; at the end it is read back and compared.

    Raises: OSError if it differs, or if the disk reports an error.
    """
    with open(path, "wb") as file:
        stream = CheckedStream(file)
        yield stream
        file.flush()
        os.fsync(file.fileno())
    size = checksum = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            size, checksum = size + len(block), zlib.crc32(block, checksum)
    if (size, checksum) != (stream.size, stream.checksum):
        raise OSError(errno.EIO, "the disk did not keep what was written")


def _bring_to_disk(beside: Path) -> None:
    files = [path for path in beside.rglob("*") if path.is_file()] if beside.is_dir() else [beside]
    for path in files:
        with open(path, "rb+") as file:
            os.fsync(file.fileno())  # some file systems report only now that there is no space
            is_archive = file.read(4) == b"PK\x03\x04"
        if is_archive:
            _check_archive(path)
    if beside.is_dir() and os.name != "nt":
        for folder in (beside, *(path for path in beside.rglob("*") if path.is_dir())):
            _bring_names_to_disk(folder)


def _bring_names_to_disk(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not supported by every file system
            os.fsync(number)
    finally:
        os.close(number)


def _check_archive(path: Path) -> None:
    if not is_whole(path):
        raise OSError(errno.EIO, "the disk did not keep what was written")


def _take_place(beside: Path, target: Path) -> None:
    # os.replace cannot replace a folder that is not empty.
    if not (beside.is_dir() and os.path.lexists(target)):
        take_access(beside, target)
        os.replace(beside, target)
        return
    stage = Stage(target.parent)
    try:
        os.rename(beside, stage.new / target.name)
        stage.commit()
    finally:
        stage.discard()
