"""Computes corrections of masks that were handed over: the voxels that each segment would gain or lose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box, Grid
from REACTKDLib.core.images.regrid import laid_on_grid
from REACTKDLib.core.masks.cleaning import clean_masks
from REACTKDLib.core.masks.fixes import SPLITS, fix_masks, split_lesions
from REACTKDLib.core.masks.lesions import lesion_map
from REACTKDLib.core.masks.necks import parted
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.arrays import read_mask
from REACTKDLib.core.worker.jobs import MaskFile

NO_FAULT = _("The masks do not have this fault any more; grade again to renew the list.")


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


@dataclass(frozen=True, eq=False)
class Changes:
    """The overall changes of edits. Bool (d, h, w), each voxel in at most one of them. corner: as in `Edit`.

    moved: out of one segment into another. place: (k, j, i) on the reference grid, a changed voxel at the center of the
    largest edit.
    """

    added: np.ndarray
    removed: np.ndarray
    moved: np.ndarray
    corner: tuple[int, int, int]
    place: tuple[int, int, int]

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> Changes:
        """Return the changes of at least one edit."""
        low = np.min([edit.corner for edit in edits], axis=0)
        high = np.max([np.add(edit.corner, edit.mask.shape) for edit in edits], axis=0)
        into, out = np.zeros(high - low, dtype=bool), np.zeros(high - low, dtype=bool)
        for edit in edits:
            start = np.subtract(edit.corner, low)
            box = tuple(slice(a, a + n) for a, n in zip(start, edit.mask.shape, strict=True))
            (into if edit.add else out)[box] |= edit.mask
        largest = max(edits, key=lambda edit: np.count_nonzero(edit.mask))
        voxels = np.argwhere(largest.mask)
        middle = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()] + largest.corner
        place = tuple(int(v) for v in middle)
        return cls(into & ~out, out & ~into, into & out, tuple(int(v) for v in low), place)


def mended(
    folder: Path,
    masks: Iterable[MaskFile],
    grid: Grid,
    code: str,
    place: Sequence[float] | None,
    task: Task = HCC_GRADE,
) -> tuple[Edit, ...]:
    """Return the edits that fix a finding. Raises: UsageError if nothing is wrong or can be done."""
    segments = _laid(folder, masks, grid)
    if code in SPLITS:
        return _split_at_neck(segments, grid, place, task)
    before = {role: _union(segments, role, grid) for role in ("liver", "tumor")}
    after = dict(zip(before, fix_masks(code, place, before["liver"], before["tumor"], grid.ijk_to_ras)))
    edits = []
    for role in before:
        own = [(one.segment, one.mask) for one in segments if one.role == role]
        if own:  # new voxels go to the first segment of the role
            edits.append((own[0][0], True, after[role] & ~before[role] & ~own[0][1]))
        edits += [(name, False, mask & ~after[role]) for name, mask in own]
    edits = [edit for edit in edits if edit[2].any()]
    if not edits:
        raise UsageError(NO_FAULT)
    return tuple(_edit(*edit) for edit in edits)


def split(
    folder: Path, masks: Iterable[MaskFile], grid: Grid, segments: Sequence[str], task: Task = HCC_GRADE
) -> tuple[Edit, ...]:
    """Return the edits that keep the largest lesion in each segment and move each other lesion to a new segment.

    segments: IDs of the tumor segments to split, empty for all. Raises: UsageError if none has more than one lesion.
    """
    laid = _laid(folder, masks, grid)
    regions = _regions(laid, grid, task)
    edits: list[Edit] = []
    for one in laid:
        segment, whole = one.segment, one.mask
        if one.role != "tumor" or (segments and segment not in segments):
            continue
        largest, *others = split_lesions(whole) or [whole]
        if others:
            edits.append(_edit(segment, False, whole & ~largest))
            for lesion in others:
                name = _name_of(lesion, regions, [edit.name for edit in edits])
                edits.append(_edit(None, True, lesion, name))
    if not edits:
        raise UsageError(
            _("Every {lesion} segment is one lesion already, so there is nothing to split."), lesion=task.lesion.name
        )
    return tuple(edits)


def _split_at_neck(laid: Sequence[_Laid], grid: Grid, place: Sequence[float] | None, task: Task) -> tuple[Edit, ...]:
    """Return the edits that move each part of the lesion at `place` to its own segment.

    The largest part stays in its segment if that is named as one lesion; two parts are separated by both their names
    (see `masks.lesions`).
    """
    regions = _regions(laid, grid, task)
    lesion = _lesion_at(regions, place)
    cut = None if lesion is None else parted(regions.labels[lesion.box] == lesion.label, regions.spacing[::-1])
    if cut is None or cut.count < 2:
        raise UsageError(NO_FAULT)
    edits: list[Edit] = []
    for number in range(1, cut.count + 1):
        part = np.zeros(grid.shape, dtype=bool)
        part[lesion.box] = cut.parts == number
        holders = [one for one in laid if one.role == "tumor" and (one.mask[lesion.box] & part[lesion.box]).any()]
        if number == 1 and all(one.is_lesion for one in holders):
            continue
        edits += [_edit(one.segment, False, one.mask & part) for one in holders]
        edits.append(_edit(None, True, part, _free_name(regions, [edit.name for edit in edits])))
    return tuple(edits)


def _lesion_at(regions: RegionSet, place: Sequence[float] | None) -> Region | None:
    """Return the lesion with a voxel at a position, mm RAS."""
    if place is None:
        return None
    kji = np.rint(np.linalg.solve(regions.ijk_to_ras, [*place, 1.0])[:3][::-1]).astype(int)
    if np.any(kji < 0) or np.any(kji >= regions.labels.shape):
        return None
    return next((one for one in regions.lesions if one.label == regions.labels[tuple(kji)]), None)


def _regions(laid: Sequence[_Laid], grid: Grid, task: Task) -> RegionSet:
    """Return the regions of a report on these masks; those of the tumor as drawn if no report is possible."""
    liver, tumor = (_union(laid, role, grid) for role in ("liver", "tumor"))
    lesions = lesion_map([(one.box, one.mask[one.box]) for one in laid if one.is_lesion], grid.shape)
    with suppress(ReactkdError):
        keep_specks = any(one.keep_specks for one in laid)
        clean = clean_masks(liver, tumor, grid.ijk_to_ras, keep_specks=keep_specks, task=task)
        liver, tumor = clean.liver, clean.tumor
    return RegionSet.from_masks(liver, tumor, grid.ijk_to_ras, lesions)


def _name_of(lesion: np.ndarray, regions: RegionSet, taken: Sequence[str]) -> str:
    """Return the report's name of a lesion.

    One that is not in the report, or a second part of one, gets the next free number.
    """
    label = int(np.bincount(regions.labels[lesion]).argmax())
    named = [region.name for region in regions.lesions if region.label == label]
    return named[0] if named and named[0] not in taken else _free_name(regions, taken)


def _free_name(regions: RegionSet, taken: Sequence[str]) -> str:
    """Return a name with the next number that no lesion of the report and none of these names has."""
    known = {region.name for region in regions.lesions} | set(taken)
    numbers = count(len(regions.lesions) + 1)
    return next(_("Lesion {number}").format(number=n) for n in numbers if f"Lesion {n}" not in known)


@dataclass(frozen=True, eq=False)
class _Laid:
    """A segment on the reference grid. mask: bool (D, H, W). box: contains it. is_lesion: see `jobs.MaskFile`."""

    segment: str
    role: str
    is_lesion: bool
    keep_specks: bool
    mask: np.ndarray
    box: Box


def _laid(folder: Path, masks: Iterable[MaskFile], grid: Grid) -> list[_Laid]:
    laid = []
    for mask in masks:
        if not mask.file:
            continue
        out = np.zeros(grid.shape, dtype=bool)
        drawn = read_mask(folder / mask.file, tuple(mask.shape), mask.sha256)
        box = laid_on_grid(drawn, np.array(mask.ijk_to_ras), grid, out)
        laid.append(_Laid(mask.segment, mask.role, mask.is_lesion, mask.keep_specks, out, box))
    return laid


def _union(laid: Iterable[_Laid], role: str, grid: Grid) -> np.ndarray:
    union = np.zeros(grid.shape, dtype=bool)
    for one in laid:
        if one.role == role:
            union |= one.mask
    return union


def _edit(segment: str | None, add: bool, mask: np.ndarray, name: str = "") -> Edit:
    """An edit of a mask on the whole grid, cut to its box."""
    box = bounding_box(mask)
    return Edit(segment, add, mask[box], tuple(part.start for part in box), name)
