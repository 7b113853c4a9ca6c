"""Segments that a client handed over, written to a file: on the grid of the first, so that nothing is resampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import EmptySegmentation, UsageError
from REACTKDLib.core.grid import Grid
from REACTKDLib.core.regrid import laid_on_grid
from REACTKDLib.core.segmentation_files import NamedMask, write_segments
from REACTKDLib.core.worker.arrays import read_mask
from REACTKDLib.core.worker.jobs import SegmentFile

MOST_SEGMENTS = 255  # label values are one byte


def save_segments(folder: Path, segments: Sequence[SegmentFile], path: Path) -> None:
    """Write the segments to `path`, a .seg.nrrd, in the frame that they were handed over in.

    The grid is the lattice of the first segment with voxels, as large as all of them need. A segment on another lattice
    is resampled to it, nearest voxel. Raises: EmptySegmentation when none has a voxel; UsageError;
    OutputNotWritable.
    """
    drawn = [segment for segment in segments if np.prod(segment.shape) > 0]
    if not drawn:
        raise EmptySegmentation("No segment has a voxel, so there is nothing to save; draw the liver and its tumors.")
    if len(segments) > MOST_SEGMENTS:
        raise UsageError(
            f"A segmentation of more than {MOST_SEGMENTS} segments is not saved; keep liver and tumors only."
        )
    grid = _grid_around(drawn)
    masks = []
    for segment in segments:
        mask = np.zeros(grid.shape, dtype=bool)
        if segment in drawn:
            part = read_mask(folder / segment.file, tuple(segment.shape))
            laid_on_grid(part, np.array(segment.ijk_to_ras), grid, mask)
        masks.append(NamedMask(segment.name.replace("\n", " "), mask, tuple(segment.color), segment.terminology))
    write_segments(masks, grid.ijk_to_ras, path)


def _grid_around(segments: Sequence[SegmentFile]) -> Grid:
    lattice = np.array(segments[0].ijk_to_ras)
    low, high = np.zeros(3), np.array(segments[0].shape[::-1]) - 1.0
    for segment in segments[1:]:
        last = np.array(segment.shape[::-1]) - 1
        corners = np.array([[i, j, k, 1.0] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
        placed = corners @ (np.linalg.inv(lattice) @ np.array(segment.ijk_to_ras)).T
        low, high = np.minimum(low, placed[:, :3].min(axis=0)), np.maximum(high, placed[:, :3].max(axis=0))
    low, high = np.floor(low + 1e-3), np.ceil(high - 1e-3)
    matrix = lattice.copy()
    matrix[:3, 3] = (lattice @ [*low, 1.0])[:3]
    return Grid(tuple(int(n) for n in (high - low + 1)[::-1]), matrix)
