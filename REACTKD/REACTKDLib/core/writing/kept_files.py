"""Cache files that save repeated work: used if intact, created again if not.

Archives (.npz, .pt) contain a CRC-32 of each part. Neither numpy nor PyTorch checks all of them, so a flipped bit would
be loaded as another number.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")


def is_whole(path: Path | str) -> bool:
    """Return True if the archive exists and each of its parts matches its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False  # RuntimeError: a part marked as encrypted


def unpacks_to_more(file: Path | str | BinaryIO) -> bool:
    """Return True for an archive whose parts together are larger than its file. PyTorch never compresses what it saves,
    but reads it: a small file could otherwise fill the memory. False for a file that is not an archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(part.file_size for part in archive.infolist()) > archive.fp.seek(0, os.SEEK_END)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def kept(path: Path | str, read: Callable[[Path], T]) -> T | None:
    """Return read(path) for an intact archive; None if it is missing, damaged or of another format.

    A damaged file is removed, so that it is created again.
    """
    path = Path(path)
    if not path.exists():
        return None
    if is_whole(path):
        with suppress(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, AttributeError):
            return read(path)
    with suppress(OSError):
        path.unlink()
    return None
