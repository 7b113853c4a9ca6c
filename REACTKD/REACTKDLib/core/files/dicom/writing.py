"""Atomic writing of DICOM objects."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from REACTKDLib.core.writing.atomic import write_bytes


def write_dataset(dataset: Any, path: Path) -> Path:
    """Write a pydicom dataset as a file with preamble and file meta. Raises: OutputNotWritable."""
    write_bytes(path, as_file(dataset))
    return path


def as_file(dataset: Any) -> bytes:
    """Return a pydicom dataset as the content of a file with preamble and file meta."""
    content = io.BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()
