"""Corrections of masks that were handed over: which voxels each segment would gain or lose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import laid_on_grid
from REACTKDLib.core.masks.cleaning import clean_masks
from REACTKDLib.core.masks.fixes import fix_masks, split_lesions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.arrays import read_mask
from REACTKDLib.core.worker.jobs import MaskFile


@dataclass(frozen=True, eq=False)
class Edit:
    """Voxels that one segment gains (add) or loses. segment: its ID, None for a new one, which gets `name`.

    mask: bool (d, h, w). corner: (k, j, i) of its first voxel on the reference grid.
    """

    segment: str | None
    add: bool
    mask: np.ndarray
    corner: tuple[int, int, int]
    name: str = ""


def mended(
    folder: Path, masks: Iterable[MaskFile], grid: Grid, code: str, place: Sequence[float] | None
) -> tuple[Edit, ...]:
    """Return the edits that mend a finding. Raises: UsageError when nothing is wrong or can be done."""
    segments = _laid(folder, masks, grid)
    before = {role: _union(segments, role, grid) for role in ("liver", "tumor")}
    after = dict(zip(before, fix_masks(code, place, before["liver"], before["tumor"], grid.ijk_to_ras)))
    edits = []
    for role in before:
        own = [(name, mask) for name, kind, mask in segments if kind == role]
        if own:  # what is new goes to the first segment of the role
            edits.append((own[0][0], True, after[role] & ~before[role] & ~own[0][1]))
        edits += [(name, False, mask & ~after[role]) for name, mask in own]
    edits = [edit for edit in edits if edit[2].any()]
    if not edits:
        raise UsageError(_("The masks do not have this fault any more; grade again to renew the list."))
    return tuple(_edit(*edit) for edit in edits)


def split(folder: Path, masks: Iterable[MaskFile], grid: Grid, segments: Sequence[str]) -> tuple[Edit, ...]:
    """Return the edits that leave its largest lesion in each segment and give each other one its own.

    segments: IDs of the tumor segments to split, empty for all. Raises: UsageError when none has more than one lesion.
    """
    laid = _laid(folder, masks, grid)
    regions = _regions(_union(laid, "liver", grid), _union(laid, "tumor", grid), grid)
    edits: list[Edit] = []
    for segment, role, whole in laid:
        if role != "tumor" or (segments and segment not in segments):
            continue
        largest, *others = split_lesions(whole) or [whole]
        if others:
            edits.append(_edit(segment, False, whole & ~largest))
            names = [edit.name for edit in edits]
            edits += [_edit(None, True, lesion, _name_of(lesion, regions, names)) for lesion in others]
    if not edits:
        raise UsageError(_("Every tumor segment is one lesion already, so there is nothing to split."))
    return tuple(edits)


def _regions(liver: np.ndarray, tumor: np.ndarray, grid: Grid) -> RegionSet:
    """The regions of a report on these masks; of the tumor as drawn where no report could be."""
    with suppress(ReactkdError):
        clean = clean_masks(liver, tumor, grid.ijk_to_ras)
        liver, tumor = clean.liver, clean.tumor
    return RegionSet.from_masks(liver, tumor, grid.ijk_to_ras)


def _name_of(lesion: np.ndarray, regions: RegionSet, taken: Sequence[str]) -> str:
    """The report's name of a lesion. One that is left out there, or a second part of one, gets the next free number."""
    label = int(np.bincount(regions.labels[lesion]).argmax())
    named = [region.name for region in regions.lesions if region.label == label]
    known = {region.name for region in regions.lesions} | set(taken)
    free = next(
        _("Lesion {number}").format(number=n) for n in count(len(regions.lesions) + 1) if f"Lesion {n}" not in known
    )
    return named[0] if named and named[0] not in taken else free


def _laid(folder: Path, masks: Iterable[MaskFile], grid: Grid) -> list[tuple[str, str, np.ndarray]]:
    laid = []
    for mask in masks:
        out = np.zeros(grid.shape, dtype=bool)
        laid_on_grid(read_mask(folder / mask.file, tuple(mask.shape)), np.array(mask.ijk_to_ras), grid, out)
        laid.append((mask.segment, mask.role, out))
    return laid


def _union(segments: Iterable[tuple[str, str, np.ndarray]], role: str, grid: Grid) -> np.ndarray:
    union = np.zeros(grid.shape, dtype=bool)
    for _id, kind, mask in segments:
        if kind == role:
            union |= mask
    return union


def _edit(segment: str | None, add: bool, mask: np.ndarray, name: str = "") -> Edit:
    """An edit of a mask on the whole grid, cut to its box."""
    box = bounding_box(mask)
    return Edit(segment, add, mask[box], tuple(part.start for part in box), name)
