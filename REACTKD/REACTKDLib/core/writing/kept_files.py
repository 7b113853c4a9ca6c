"""Files that a program keeps to do work once: read when they are whole, made again when they are not.

Archives (.npz, .pt) hold a CRC-32 of each part. Neither numpy nor PyTorch looks at all of them, so that a flipped bit
loads as another number.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def is_whole(path: Path | str) -> bool:
    """Whether the archive is there and each of its parts fits its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False  # RuntimeError: a part that says it is encrypted


def kept(path: Path | str, read: Callable[[Path], T]) -> T | None:
    """Return what `read` makes of the archive; None when it is absent, damaged or of another form.

    A file that is not whole is removed, so that it is made again.
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
