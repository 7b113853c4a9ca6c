"""Segments that a worker creates for lesions: each with a unique name, the report's name where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.cleaning import clean_masks
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.worker.arrays import write_mask
from REACTKDLib.core.worker.jobs import MaskFile
from REACTKDLib.core.worker.mending import mended, split

MATRIX = np.diag([2.0, 2.0, 2.0, 1.0])
LIVER = np.zeros((20, 30, 30), dtype=bool)
LIVER[2:18, 2:28, 2:28] = True
TUMOR = np.zeros_like(LIVER)
TUMOR[5:9, 5:9, 5:9] = True
TUMOR[12:15, 12:15, 12:15] = True
for speck in ((5, 20, 20), (9, 20, 20), (13, 24, 6)):  # 0.008 ml: a report omits them unless specks are kept
    TUMOR[speck] = True


@pytest.mark.parametrize("keep_specks", [False, True])
def test_every_new_segment_has_a_unique_name(tmp_path: Path, keep_specks: bool) -> None:
    masks = []
    for role, mask in (("liver", LIVER), ("tumor", TUMOR)):
        write_mask(tmp_path / role, mask)
        masks.append(MaskFile(role, role, list(mask.shape), MATRIX.tolist(), role, keep_specks))
    edits = split(tmp_path, masks, Grid(LIVER.shape, MATRIX), ())
    made = [edit for edit in edits if edit.segment is None]
    assert len({edit.name for edit in made}) == len(made) == 4
    clean = clean_masks(LIVER, TUMOR, MATRIX, keep_specks=keep_specks)
    for region in RegionSet.from_masks(clean.liver, clean.tumor, MATRIX).lesions[1:]:
        (same,) = (edit for edit in made if edit.name == region.name)
        assert np.count_nonzero(same.mask) == region.voxels


def test_a_segment_without_voxels_takes_no_part_in_a_fix(tmp_path: Path) -> None:
    """It is handed over without a file; new voxels go to the first segment that has any."""
    masks = []
    for role, segment, mask in (("liver", "L", LIVER), ("tumor", "T2", TUMOR)):
        write_mask(tmp_path / segment, mask)
        masks.append(MaskFile(role, segment, list(mask.shape), MATRIX.tolist(), segment))
    empty = MaskFile("tumor", "", [0, 0, 0], np.eye(4).tolist(), "T1", name="Tumor 1")
    edits = mended(tmp_path, [masks[0], empty, masks[1]], Grid(LIVER.shape, MATRIX), "small-lesions-left-out", None)
    assert {edit.segment for edit in edits} == {"T2"}
    expected = mended(tmp_path, masks, Grid(LIVER.shape, MATRIX), "small-lesions-left-out", None)
    assert [(e.segment, e.add, e.corner) for e in edits] == [(e.segment, e.add, e.corner) for e in expected]
