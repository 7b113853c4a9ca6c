"""Builds a case from the arrays that a client handed over, with the checks of a file reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.files.dicom.loaded_pet import loaded_image
from REACTKDLib.core.files.segments import PlacedMask
from REACTKDLib.core.files.straight_axes import check_straight
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import laid_on_grid
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.masks.drawn_segments import Drawn, segment_findings
from REACTKDLib.core.masks.left_out import Placed, left_out
from REACTKDLib.core.masks.lesions import DrawnMasks, lesion_map, missing_organ
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.arrays import read_array, read_mask
from REACTKDLib.core.worker.jobs import ImageFile, MaskFile, SegmentFile


def case_from_files(
    folder: Path,
    images: Iterable[ImageFile],
    masks: Sequence[MaskFile],
    case_id: str,
    check: Callable[[], None] = lambda: None,
    task: Task = HCC_GRADE,
) -> Case:
    """Return the case; `check` is called between the images and may raise to stop.

    Raises: what `Volume` and `Case` raise; NotHounsfield, NotPet; SkewedAxes; NoLiver, MaskOffImage.
    """
    volumes, findings = {}, []
    for image in images:
        check()
        volumes[image.modality], more = read_image(folder, image)
        findings += more
    modality = next(m for m in Modality if m in volumes)
    reference = volumes[modality]
    check_straight(reference.ijk_to_ras, ROLES[modality])
    drawn = masks_from_files(folder, masks, Grid(reference.shape, reference.ijk_to_ras), task)
    keep_specks = any(mask.keep_specks for mask in masks)
    findings = (*findings, *drawn.findings)
    return Case(case_id, volumes, drawn.liver, drawn.tumor, findings, keep_specks, drawn.lesions, task)


def read_image(folder: Path, image: ImageFile) -> tuple[Volume, list[Finding]]:
    """Return one image, after checking its modality, and remarks; a PET is converted to SUV if its files allow it."""
    array, matrix = read_array(folder / image.file), np.array(image.ijk_to_ras)
    volume = Volume(array, matrix, image.unit or Unit.UNKNOWN, ROLES[image.modality])
    return loaded_image(volume, image.unit, image.dicom, image.modality, image.remarks)


def masks_from_files(folder: Path, masks: Iterable[MaskFile], grid: Grid, task: Task = HCC_GRADE) -> DrawnMasks:
    """Return the masks on `grid`: the union of the segments of each role, which tumors are separate lesions, and
    findings on empty segments and on parts outside the grid.

    Raises: NoLiver if no liver segment has a voxel; MaskOffImage if none of them, or no tumor, lies in the grid.
    """
    placed: dict[str, list[Placed]] = {"liver": [], "tumor": []}
    union = {"liver": np.zeros(grid.shape, dtype=bool), "tumor": np.zeros(grid.shape, dtype=bool)}
    segments: dict[str, list[Drawn]] = {"liver": [], "tumor": []}
    lesions = []
    for mask in masks:
        segments[mask.role].append((mask.name, bool(mask.file)))
        if not mask.file:
            continue
        array, matrix = read_mask(folder / mask.file, tuple(mask.shape), mask.sha256), np.array(mask.ijk_to_ras)
        placed[mask.role].append((array, matrix))
        own = np.zeros(grid.shape, dtype=bool) if mask.is_lesion else union[mask.role]
        box = laid_on_grid(array, matrix, grid, own)
        if mask.is_lesion:
            lesions.append((box, own[box]))
            union[mask.role][box] |= own[box]
    if not union["liver"].any():
        raise missing_organ(bool(placed["liver"]), task)
    findings = segment_findings(segments["liver"], segments["tumor"], task)
    findings += left_out(placed["liver"], placed["tumor"], grid, task)
    return DrawnMasks(union["liver"], union["tumor"], lesion_map(lesions, grid.shape), tuple(findings))


def placed_mask(folder: Path, segment: SegmentFile) -> PlacedMask:
    """Return a segment as drawn, to be written to a file. Raises: HandOverDamaged."""
    shape = tuple(segment.shape)
    mask = read_mask(folder / segment.file, shape) if segment.file else np.zeros((0, 0, 0), dtype=bool)
    matrix = np.array(segment.ijk_to_ras, dtype=float)
    return PlacedMask(segment.name, mask, matrix, tuple(segment.color), segment.terminology)
