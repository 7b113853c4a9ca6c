"""DICOM objects written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from REACTKDLib.core.writing.atomic import write_bytes


def write_dataset(dataset: Any, path: Path) -> Path:
    """Write a pydicom dataset as a file with preamble and file meta. Raises: OutputNotWritable."""
    content = io.BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    write_bytes(path, content.getvalue())
    return path
