"""Writes masks with separate positions to one file, on their finest lattice, without resampling where possible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import EmptySegmentation, UsageError
from REACTKDLib.core.files.segmentation_writer import write_segments
from REACTKDLib.core.files.segments import PlacedMask
from REACTKDLib.core.files.volumes import suffix_of, write_volume
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import laid_on_grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.text import tr as _

MOST_SEGMENTS = 255  # label values are one byte
#: limit of the voxels of all masks on a common grid, a byte each: a tiny lesion in small voxels would need terabytes
MOST_LAID = 1 << 30


def write_placed_masks(masks: Sequence[PlacedMask], path: Path | str) -> None:
    """Write the masks to `path`: a .seg.nrrd, or a label image (.nii.gz, .nii) with the values 1, 2, ....

    The grid is the lattice with the smallest voxels, extended to contain all of the masks: a coarser one would change
    what was drawn. It is coarser only if the masks would need more than `MOST_LAID` voxels. A mask on another lattice
    is resampled to it, nearest voxel.

    Raises: EmptySegmentation if all masks are empty; UsageError, also for masks that overlap in a label image, where
    one would be cut; OutputNotWritable.
    """
    drawn = [entry for entry in masks if entry.mask.any()]
    if not drawn:
        raise EmptySegmentation(
            _("No segment has a voxel, so there is nothing to save; draw the organ and its lesions.")
        )
    if len(masks) > MOST_SEGMENTS:
        raise UsageError(
            _("More than {most} segments are not saved; keep the organ and its lesions only."), most=MOST_SEGMENTS
        )
    grid = _common_grid([Grid(entry.mask.shape, entry.ijk_to_ras) for entry in drawn], len(masks))
    laid = []
    for entry in masks:
        whole = np.zeros(grid.shape, dtype=bool)
        if entry.mask.any():
            laid_on_grid(entry.mask, entry.ijk_to_ras, grid, whole)
        laid.append(replace(entry, mask=whole, ijk_to_ras=grid.ijk_to_ras))
    if suffix_of(path) in (".nii", ".nii.gz"):
        write_volume(Volume(_label_map(laid), grid.ijk_to_ras), path)
    else:
        write_segments(laid, path)


def _common_grid(grids: Sequence[Grid], count: int) -> Grid:
    """Return the finest of the lattices, extended to contain all, on which `count` masks need few enough voxels; else
    the one on which they need the fewest.
    """
    by_size: dict[float, Grid] = {}
    for grid in grids:
        by_size.setdefault(round(abs(float(np.linalg.det(grid.ijk_to_ras[:3, :3]))), 4), grid)
    extended = []
    for _size, own in sorted(by_size.items()):
        extended.append(own.grown([other for other in grids if other is not own]))
        if math.prod(extended[-1].shape) * count <= MOST_LAID:
            return extended[-1]
    return min(extended, key=lambda grid: math.prod(grid.shape))


def _label_map(masks: Sequence[PlacedMask]) -> np.ndarray:
    """Return (D, H, W) uint8 with n in mask n (from 1); the masks have the same shape."""
    labels = np.zeros(masks[0].mask.shape, dtype=np.uint8)
    for label, entry in enumerate(masks, start=1):
        if labels[entry.mask].any():
            text = _("Segments overlap, and an image of labels would cut one of them; save them as .seg.nrrd.")
            raise UsageError(text)
        labels[entry.mask] = label
    return labels
