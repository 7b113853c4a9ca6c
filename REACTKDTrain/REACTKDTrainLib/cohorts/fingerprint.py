"""A hash of what files hold, quick enough for a cohort of 131 CT scans."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_WHOLE_BYTES = 32 << 20
_BLOCK_BYTES = 1 << 20
_BLOCKS = 24


def fingerprint_of(paths: Iterable[Path], *words: str) -> str:
    """SHA-256 of the files' content, in order, and of `words` (choices that change what is read from them).

    paths: of files, or of folders for all files in them (a DICOM series).
    A file above 32 MB is read in 24 blocks of 1 MB spread over it, with its size: whoever exports an image again
    changes them all, since images are compressed or resampled as a whole. Names and times play no part.
    Raises: OSError.
    """
    digest = hashlib.sha256("\0".join(words).encode())
    for file in (file for path in paths for file in _files_at(Path(path))):
        size = file.stat().st_size
        digest.update(f"\0{size}\0".encode())
        with open(file, "rb") as stream:
            if size <= _WHOLE_BYTES:
                digest.update(stream.read())
                continue
            for n in range(_BLOCKS):
                stream.seek((size - _BLOCK_BYTES) * n // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _files_at(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
