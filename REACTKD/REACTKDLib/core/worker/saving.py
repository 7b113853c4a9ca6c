"""Segments that a client handed over, written to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.files.placed_masks import PlacedMask, write_placed_masks
from REACTKDLib.core.worker.arrays import read_mask
from REACTKDLib.core.worker.jobs import SegmentFile


def save_segments(folder: Path, segments: Sequence[SegmentFile], path: Path) -> None:
    """Write the segments to `path`, a .seg.nrrd. Raises: what `write_placed_masks` raises."""
    write_placed_masks([_read(folder, segment) for segment in segments], path)


def _read(folder: Path, segment: SegmentFile) -> PlacedMask:
    empty = not segment.file
    mask = np.zeros((0, 0, 0), dtype=bool) if empty else read_mask(folder / segment.file, tuple(segment.shape))
    matrix = np.array(segment.ijk_to_ras, dtype=float)
    return PlacedMask(segment.name, mask, matrix, tuple(segment.color), segment.terminology)
