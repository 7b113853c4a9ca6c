"""The documented rules for cleaning masks, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from REACTKDLib.core import errors
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.masks.cleaning import CLEANING_FINDINGS, clean_masks
from REACTKDLib.core.masks.regions import RegionSet
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
    masks = clean_masks(liver, tumor, MATRIX, keep_specks=True)
    assert np.array_equal(masks.tumor, tumor)
    assert np.array_equal(masks.liver, LIVER)
    assert codes(masks) == ["tumor-added-to-liver"]


@pytest.mark.parametrize(("voxels", "kept"), [(1, False), (4, False), (5, True), (6, True)])  # of 0.01 ml each
@pytest.mark.parametrize("in_liver", [True, False], ids=["in the liver", "left out of it"])
def test_lesions_under_0_05_ml_are_reported_and_left_out(voxels, kept, in_liver):
    lesion, speck = ball((10, 12, 13), 3), blank()
    speck[5, 12, 10 : 10 + voxels] = True
    tumor = lesion | speck
    masks = clean_masks(LIVER if in_liver else LIVER & ~tumor, tumor, MATRIX)
    assert np.array_equal(masks.tumor, tumor if kept else lesion)
    assert np.array_equal(masks.liver, LIVER)
    told = [finding for finding in masks.findings if finding.code == "small-lesions-left-out"]
    assert len(told) == (0 if kept else 1)
    for finding in told:
        assert f"1 lesion under 0.05 ml, {voxels * 0.01:.2g} ml in all, is not graded" in finding.message
        assert finding.location_ras == pytest.approx([2 * (10 + (voxels - 1) / 2), 24, 12.5])
    assert np.array_equal(clean_masks(LIVER, tumor, MATRIX, keep_specks=True).tumor, tumor)


def test_a_thousand_specks_are_one_finding_and_many_lesions_are_refused():
    matrix = np.diag([1.0, 1.0, 1.0, 1.0])
    liver = np.ones((40, 60, 60), dtype=bool)
    tumor = np.zeros_like(liver)
    tumor[1::4, 1::4, 1::4] = True
    tumor[2:8, 2:8, 2:8] = True
    masks = clean_masks(liver, tumor, matrix)
    assert [finding.code for finding in masks.findings] == ["small-lesions-left-out"]
    assert np.count_nonzero(masks.tumor) >= 216
    with pytest.raises(errors.TooManyLesions, match="remove its small islands"):
        clean_masks(liver, tumor, matrix, keep_specks=True)


def test_only_specks_leave_no_lesion():
    tumor = blank()
    tumor[10, 12, 13] = True
    masks = clean_masks(LIVER, tumor, MATRIX)
    assert not masks.tumor.any()
    assert codes(masks) == ["small-lesions-left-out"]


@pytest.mark.parametrize(("gap", "kept"), [(0, True), (1, False)], ids=["touches by a corner", "one voxel apart"])
def test_a_lesion_beside_the_liver_is_left_out(gap, kept):
    liver = blank()
    liver[4:14, 4:14, 4:14] = True
    tumor = blank()
    tumor[5:8, 5:8, 6] = True
    start = 14 + gap
    tumor[start : start + 2, start : start + 2, start : start + 2] = True  # 0.08 ml
    masks = clean_masks(liver, tumor, MATRIX)
    assert masks.tumor[start, start, start] == kept
    assert masks.liver[start, start, start] == kept
    assert masks.tumor[6, 6, 6]
    if not kept:
        finding = masks.findings[0]
        assert finding.code == "lesion-outside-liver"
        assert finding.location_ras == pytest.approx([2 * (start + 0.5)] * 2 + [2.5 * (start + 0.5)])


def test_a_tumor_wholly_outside_the_liver_is_refused():
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
    masks = clean_masks(liver, tumor, MATRIX, keep_specks=True)
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


def test_unusable_masks_are_refused():
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
def test_the_rules_hold_for_any_masks(liver, tumor):
    matrix = np.diag([5.0, 5.0, 5.0, 1.0])  # 0.125 ml a voxel
    try:
        masks = clean_masks(liver, tumor, matrix)
    except (errors.NoLiver, errors.LiverTooSmall, errors.TumorOutsideLiver):
        return
    assert not (masks.tumor & ~masks.liver).any()
    assert not (masks.tumor & ~tumor).any()
    assert (tumor & liver & ~masks.tumor).sum() == 0  # no tumor voxel in the liver is ever lost
    assert {finding.code for finding in masks.findings} <= CLEANING_FINDINGS
    assert masks.box == bounding_box(masks.liver)
    plain, told = (
        RegionSet.from_masks(masks.liver, masks.tumor, matrix, known=known)
        for known in (None, (masks.box, masks.lesions))
    )
    assert np.array_equal(plain.labels, told.labels)
    assert [vars(region) for region in plain.regions] == [vars(region) for region in told.regions]
    again = clean_masks(masks.liver, masks.tumor, matrix)
    assert np.array_equal(again.liver, masks.liver)
    assert np.array_equal(again.tumor, masks.tumor)


def test_cached_liver_parts_do_not_change_the_result():
    memo = Memo()
    holed, speck = LIVER.copy(), LIVER.copy()
    holed[ball((10, 12, 13), 1)] = False
    speck[1, 1, 1] = True
    tumor = ball((10, 12, 18), 2) & LIVER
    in_the_speck = tumor.copy()
    in_the_speck[1, 1, 1] = True
    moved = np.roll(holed, 1, axis=2)  # the same voxels shifted: its findings state another position
    pairs = [(liver, tumor) for liver in (LIVER, holed, LIVER, speck, holed, moved)]
    for liver, drawn in (*pairs, (speck, in_the_speck), (moved, tumor & moved), (speck, tumor)):
        fresh = clean_masks(liver, drawn, MATRIX, keep_specks=True)
        again = clean_masks(liver, drawn, MATRIX, memo, keep_specks=True)
        assert np.array_equal(fresh.liver, again.liver) and np.array_equal(fresh.tumor, again.tumor)
        assert fresh.findings == again.findings
    assert codes(fresh) and codes(clean_masks(holed, tumor, MATRIX, memo))
