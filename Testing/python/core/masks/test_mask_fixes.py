"""Each fix corrects what its finding reports, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.checks import check_masks
from REACTKDLib.core.masks.cleaning import clean_masks
from REACTKDLib.core.masks.fixes import FIXES, fix_masks, split_lesions
from REACTKDLib.core.modality import Modality

MATRIX = np.array([[-2.0, 0, 0, 40], [0, -2.0, 0, 60], [0, 0, 2.5, -30], [0, 0, 0, 1]])  # voxels of 0.01 ml
SHAPE = (40, 60, 70)


def masks() -> tuple[np.ndarray, np.ndarray]:
    """A liver of one piece with one lesion inside."""
    liver, tumor = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    liver[5:35, 5:45, 5:45] = True
    tumor[10:15, 10:15, 10:15] = True
    return liver, tumor


def findings_of(liver: np.ndarray, tumor: np.ndarray, keep_specks: bool = False) -> list:
    clean = clean_masks(liver, tumor, MATRIX, keep_specks=keep_specks)
    case = Case("x", {Modality.FDG: Volume(np.zeros(SHAPE, np.float32), MATRIX)}, clean.liver, clean.tumor)
    return [*clean.findings, *check_masks(case)]


def hole(liver, tumor, size=3, at=25):
    liver[at : at + size, at : at + size, at : at + size] = False


FAULTS = {
    "holes-filled": lambda liver, tumor: (hole(liver, tumor), hole(liver, tumor, 2, 31)),
    "hole-in-liver": lambda liver, tumor: hole(liver, tumor, 6),
    "specks-dropped": lambda liver, tumor: liver.__setitem__((slice(36, 38), slice(50, 52), slice(50, 52)), True),
    "liver-in-pieces": lambda liver, tumor: liver.__setitem__((slice(20, 30), slice(50, 58), slice(50, 58)), True),
    "tumor-added-to-liver": lambda liver, tumor: liver.__setitem__(tumor, False),
    "lesion-outside-liver": lambda liver, tumor: tumor.__setitem__((slice(30, 33), slice(52, 55), slice(60, 63)), True),
    "one-voxel-lesion": lambda liver, tumor: tumor.__setitem__((20, 20, 30), True),
    "small-lesions-left-out": lambda liver, tumor: tumor.__setitem__((20, slice(20, 30, 2), 30), True),
}


def test_every_fix_is_tested():
    assert set(FAULTS) == set(FIXES)


@pytest.mark.parametrize("code", FAULTS)
def test_a_fix_corrects_its_finding_and_nothing_else(code):
    whole = masks()
    broken = masks()
    FAULTS[code](*broken)
    finding = next(f for f in findings_of(*broken, keep_specks=code == "one-voxel-lesion") if f.code == code)
    assert finding.location_ras is not None
    before = [mask.copy() for mask in broken]
    liver, tumor = fix_masks(code, finding.location_ras, *broken, MATRIX)
    assert np.array_equal(broken[0], before[0]) and np.array_equal(broken[1], before[1])
    assert np.array_equal(liver, whole[0]) and np.array_equal(tumor, whole[1])
    assert code not in [f.code for f in findings_of(liver, tumor)]


def test_only_the_selected_hole_is_filled():
    liver, tumor = masks()
    hole(liver, tumor, 6, 10)
    tumor[:] = False
    tumor[30:33, 30:33, 30:33] = True
    hole(liver, tumor, 7, 20)
    places = {f.location_ras for f in findings_of(liver, tumor) if f.code == "hole-in-liver"}
    assert len(places) == 2
    for place in places:
        mended, _ = fix_masks("hole-in-liver", place, liver, tumor, MATRIX)
        assert [f.location_ras for f in findings_of(mended, tumor) if f.code == "hole-in-liver"] == [
            *(places - {place})
        ]


def test_a_repeated_fix_changes_nothing():
    liver, tumor = masks()
    for code in FIXES:
        mended = fix_masks(code, (0.0, 0.0, 0.0), liver, tumor, MATRIX)
        assert np.array_equal(mended[0], liver) and np.array_equal(mended[1], tumor)


def test_a_finding_without_a_fix_is_refused():
    with pytest.raises(UsageError, match="no fix"):
        fix_masks("liver-volume", None, *masks(), MATRIX)


def test_lesions_are_split_by_corners_that_touch_and_largest_first():
    mask = np.zeros(SHAPE, bool)
    mask[2, 2, 2] = mask[3, 3, 3] = True  # one lesion: they touch at a corner
    mask[10:14, 10:14, 10:14] = True
    parts = split_lesions(mask)
    assert [int(part.sum()) for part in parts] == [64, 2]
    assert np.array_equal(parts[0] | parts[1], mask)
