"""A hash of the content of files, which identifies work that was already done with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from REACTKDLib.core.errors import ReactkdError

_WHOLE_BYTES = 32 << 20
_BLOCK_BYTES = 1 << 20
_BLOCKS = 24


def fingerprint_of(paths: Iterable[Path], *words: str, whole: bool = False) -> str:
    """Return the SHA-256 of the files' content, in order, and of `words` (settings that change what is read from them).

    Of a file above 32 MB, 24 blocks of 1 MB spread over it are read, and its size: fast enough for a cohort of 131 CT
    scans, and exporting an image again changes all blocks, since images are compressed or resampled as a whole. A
    change of a few voxels of an uncompressed mask can be missed; `whole` reads everything. Names and times are ignored.
    Raises: OSError.
    """
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass"))
    for path in paths:
        size = Path(path).stat().st_size
        digest.update(f"\0{size}\0".encode())
        with open(path, "rb") as stream:
            if size <= _WHOLE_BYTES:
                digest.update(stream.read())
            elif whole:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
            else:
                for n in range(_BLOCKS):
                    stream.seek((size - _BLOCK_BYTES) * n // (_BLOCKS - 1))
                    digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


def files_behind(path: Path, series: bool = False) -> list[Path]:
    """Return the files that reading `path` involves: all files of a folder, or a header and its data files.

    series: a DICOM file stands for its series, so for all files beside it and below.
    """
    from REACTKDLib.core.files.dicom.series import is_dicom_source
    from REACTKDLib.core.files.formats.reading import read_header

    if path.is_dir():
        return _files_below(path)
    if is_dicom_source(path):
        return _files_below(path.parent) if series else [path]
    try:
        named = [part.path for part in read_header(path, "").parts]
    except ReactkdError:  # reported when the file is read
        named = []
    named += [path.with_suffix(".hdr")] if path.suffix.lower() == ".img" and path in named else []
    return [path, *(file for file in dict.fromkeys(named) if file != path)]


def _files_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
