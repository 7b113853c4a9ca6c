"""Atomic writing of DICOM objects."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.writing.atomic import write_bytes

UNICODE = "ISO_IR 192"
_TEXTS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")  # value representations that a character set applies to


def write_dataset(dataset: Any, path: Path) -> Path:
    """Write a pydicom dataset as a file with preamble and file meta. Raises: OutputNotWritable."""
    write_bytes(path, as_file(dataset))
    return path


def as_file(dataset: Any) -> bytes:
    """Return a pydicom dataset as the content of a file with preamble and file meta.

    If its character set cannot encode all of its texts, it is changed to Unicode: pydicom would write question marks.
    """
    _fit_character_set(dataset)
    content = io.BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _fit_character_set(dataset: Any) -> None:
    charset = need_pydicom().charset
    # without a set only ASCII is allowed, for which pydicom takes Latin-1
    names = charset.convert_encodings(dataset.get("SpecificCharacterSet") or "ISO_IR 6")
    codecs = ["ascii" if name == charset.default_encoding else name for name in names]
    letters = {letter for element in dataset.iterall() if element.VR in _TEXTS for letter in str(element.value)}
    if not all(any(_encodes(codec, letter) for codec in codecs) for letter in letters):
        dataset.decode()
        dataset.SpecificCharacterSet = UNICODE


def _encodes(codec: str, letter: str) -> bool:
    try:
        return bool(letter.encode(codec))
    except UnicodeEncodeError:
        return False
