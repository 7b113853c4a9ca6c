"""The stated rules for cleaning masks, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from REACTKDLib.core import errors
from REACTKDLib.core.masks import CLEANING_FINDINGS, clean_masks
from REACTKDLib.core.memo import Memo

MATRIX = np.diag([2.0, 2.0, 2.5, 1.0])  # 0.01 ml a voxel
SHAPE = (20, 24, 28)


def ball(center, radius) -> np.ndarray:
    k, j, i = np.indices(SHAPE)
    return (k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2 <= radius**2


def blank() -> np.ndarray:
    return np.zeros(SHAPE, dtype=bool)


LIVER = ball((10, 12, 13), 8)  # about 2,100 voxels, 21 ml


def codes(masks) -> list[str]:
    return [finding.code for finding in masks.findings]


def test_clean_masks_are_left_alone():
    tumor = ball((10, 12, 13), 3)
    masks = clean_masks(LIVER, tumor, MATRIX)
    assert np.array_equal(masks.liver, LIVER)
    assert np.array_equal(masks.tumor, tumor)
    assert masks.findings == ()


def test_inputs_are_not_changed():
    liver, tumor = LIVER & ~ball((10, 12, 13), 3), ball((10, 12, 13), 3)
    before = liver.copy(), tumor.copy()
    clean_masks(liver, tumor, MATRIX)
    assert np.array_equal(liver, before[0])
    assert np.array_equal(tumor, before[1])


def test_every_lesion_is_kept_and_liver_contains_it():
    tumor = ball((10, 12, 13), 3)
    tumor[4, 12, 13] = True  # one voxel inside
    liver = LIVER & ~tumor
    masks = clean_masks(liver, tumor, MATRIX)
    assert np.array_equal(masks.tumor, tumor)
    assert np.array_equal(masks.liver, LIVER)
    assert codes(masks) == ["tumor-added-to-liver"]


@pytest.mark.parametrize(("gap", "kept"), [(0, True), (1, False)], ids=["touches by a corner", "one voxel apart"])
def test_lesion_beside_the_liver(gap, kept):
    liver = blank()
    liver[4:14, 4:14, 4:14] = True
    tumor = blank()
    tumor[6, 6, 6] = True
    start = 14 + gap
    tumor[start : start + 2, start : start + 2, start : start + 2] = True
    masks = clean_masks(liver, tumor, MATRIX)
    assert masks.tumor[start, start, start] == kept
    assert masks.liver[start, start, start] == kept
    assert masks.tumor[6, 6, 6]
    if not kept:
        finding = masks.findings[0]
        assert finding.code == "lesion-outside-liver"
        assert finding.location_ras == pytest.approx([2 * (start + 0.5)] * 2 + [2.5 * (start + 0.5)])


def test_tumor_wholly_outside():
    with pytest.raises(errors.TumorOutsideLiver, match="wholly outside"):
        clean_masks(LIVER, ball((2, 2, 2), 1), MATRIX)


@pytest.mark.parametrize(("voxels", "filled"), [(1, True), (100, True), (101, False)])
def test_holes_up_to_a_milliliter_are_filled(voxels, filled):
    liver = LIVER.copy()
    inner = np.argwhere(ball((10, 12, 13), 5))
    order = np.argsort(((inner - [10, 12, 13]) ** 2).sum(axis=1), kind="stable")
    liver[tuple(inner[order[:voxels]].T)] = False  # a ball of that many voxels
    masks = clean_masks(liver, blank(), MATRIX)
    assert np.array_equal(masks.liver, LIVER if filled else liver)
    assert codes(masks) == ["holes-filled" if filled else "hole-in-liver"]


def test_a_canal_to_the_outside_is_no_hole():
    liver = LIVER.copy()
    liver[10, 12, :] = False
    assert np.array_equal(clean_masks(liver, blank(), MATRIX).liver, liver)


def test_a_hole_filled_with_tumor_is_no_hole():
    tumor = ball((10, 12, 13), 2)
    assert "holes-filled" not in codes(clean_masks(LIVER & ~tumor, tumor, MATRIX))


def test_specks_are_dropped_unless_they_hold_tumor():
    liver, tumor = LIVER.copy(), blank()
    liver[0, 0, 0:3] = True
    liver[19, 20:23, 20:23] = True
    tumor[19, 21, 21] = True
    masks = clean_masks(liver, tumor, MATRIX)
    assert not masks.liver[0, 0, 0]
    assert masks.liver[19, 20, 20]
    assert masks.tumor[19, 21, 21]
    assert codes(masks) == ["specks-dropped", "liver-in-pieces"]


def test_large_pieces_are_kept():
    liver = blank()
    liver[2:8, 2:12, 2:12] = True
    liver[12:18, 2:12, 2:12] = True
    masks = clean_masks(liver, blank(), MATRIX)
    assert np.array_equal(masks.liver, liver)
    assert codes(masks) == ["liver-in-pieces"]


def test_refusals():
    one = blank()
    one[3, 3, 3] = True
    small = ball((10, 12, 13), 4)  # 257 voxels, 2.6 ml
    for liver, tumor, error, words in (
        (blank(), blank(), errors.NoLiver, "empty"),
        (one, blank(), errors.LiverTooSmall, "only 1 voxel;"),
        (small, blank(), errors.LiverTooSmall, "only 2.6 ml.*spacing"),
        (one, ball((3, 3, 3), 2), errors.LiverTooSmall, "1 voxel"),
        (LIVER, LIVER, errors.NoLiver, "outside the tumor"),
    ):
        with pytest.raises(error, match=words):
            clean_masks(liver, tumor, MATRIX)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (6, 7, 8)), arrays(bool, (6, 7, 8)))
def test_promises_hold_for_any_masks(liver, tumor):
    matrix = np.diag([5.0, 5.0, 5.0, 1.0])  # 0.125 ml a voxel
    try:
        masks = clean_masks(liver, tumor, matrix)
    except (errors.NoLiver, errors.LiverTooSmall, errors.TumorOutsideLiver):
        return
    assert not (masks.tumor & ~masks.liver).any()
    assert not (masks.tumor & ~tumor).any()
    assert (tumor & liver & ~masks.tumor).sum() == 0  # no tumor voxel in the liver is ever lost
    assert {finding.code for finding in masks.findings} <= CLEANING_FINDINGS
    again = clean_masks(masks.liver, masks.tumor, matrix)
    assert np.array_equal(again.liver, masks.liver)
    assert np.array_equal(again.tumor, masks.tumor)


def test_what_is_remembered_of_a_liver_changes_nothing():
    memo = Memo()
    holed, speck = LIVER.copy(), LIVER.copy()
    holed[ball((10, 12, 13), 1)] = False
    speck[1, 1, 1] = True
    tumor = ball((10, 12, 18), 2) & LIVER
    for liver in (LIVER, holed, LIVER, speck, holed, speck):
        fresh, again = clean_masks(liver, tumor, MATRIX), clean_masks(liver, tumor, MATRIX, memo)
        assert np.array_equal(fresh.liver, again.liver) and np.array_equal(fresh.tumor, again.tumor)
        assert fresh.findings == again.findings
    assert codes(fresh) and codes(clean_masks(holed, tumor, MATRIX, memo))
