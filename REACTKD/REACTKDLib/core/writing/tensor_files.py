"""Atomic writing of tensors with torch."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from REACTKDLib.core.writing.atomic import written_beside


def write_tensors(target: Path | str, content: Any) -> None:
    """Write an object that `torch.save` accepts. Raises: OutputNotWritable, also if the disk is full."""
    import torch

    with written_beside(target) as beside:
        try:
            torch.save(content, beside)
        except RuntimeError as error:  # how torch's writer reports a full disk
            raise OSError(errno.EIO, "the disk is full or refused it") from error
