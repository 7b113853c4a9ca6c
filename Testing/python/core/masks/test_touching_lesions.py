"""Touching lesions: separate segments stay two regions; without them, or with parts of one lesion, nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from REACTKDLib.core.cases.open_case import open_case
from REACTKDLib.core.files.recognition import Candidate, one_lesion_each
from REACTKDLib.core.files.segmentation_writer import write_segmentation
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.masks.checks import rechecked
from REACTKDLib.core.masks.components import components_of
from REACTKDLib.core.masks.lesions import lesion_map, separate
from REACTKDLib.core.masks.regions import RegionSet, regions_of
from REACTKDLib.core.modality import Modality
from support.small_cases import small_case, world

FULL = np.ones((3, 3, 3))


def placed(*masks: np.ndarray) -> list:
    box = tuple(slice(0, n) for n in masks[0].shape)
    return [(box, mask) for mask in masks]


def touching_halves(shape=(8, 10, 12)) -> tuple[np.ndarray, np.ndarray]:
    """Two adjacent blocks."""
    left, right = np.zeros(shape, bool), np.zeros(shape, bool)
    left[2:6, 2:8, 2:6] = True
    right[2:6, 2:8, 6:9] = True
    return left, right


def split(tumor: np.ndarray, lesions: np.ndarray, voxel_ml: float) -> tuple[np.ndarray, int]:
    """The parts that `separate` finds, on the grid of the masks, and their number."""
    whole = components_of(tumor)
    found = separate(whole, lesions[whole.box], voxel_ml)
    parts = np.zeros(tumor.shape, dtype=int)
    parts[found.box] = found.labels()
    return parts, len(found.found)


def test_two_segments_that_touch_are_two_regions():
    left, right = touching_halves()
    liver = np.ones(left.shape, bool)
    together = RegionSet.from_masks(liver, left | right, np.eye(4))
    apart = RegionSet.from_masks(liver, left | right, np.eye(4), lesion_map(placed(left, right), left.shape))
    assert [r.voxels for r in together.lesions] == [168] and [r.voxels for r in apart.lesions] == [96, 72]
    assert np.array_equal(apart.mask(1), left) and np.array_equal(apart.mask(2), right)
    assert np.array_equal(apart.labels == 1, together.labels == 1), "the parenchyma is the same"


def test_a_segment_without_a_lesion_name_joins_the_lesion_that_it_touches():
    left, right = touching_halves()
    necrosis = np.zeros(left.shape, bool)
    necrosis[3, 4, 8:11] = True  # touches only the right one
    lesions = lesion_map(placed(left, right), left.shape)
    parts, count = split(left | right | necrosis, lesions, 0.01)
    assert count == 2 and len(np.unique(parts[right | necrosis])) == 1
    bridge = np.zeros(left.shape, bool)
    bridge[5, 7, 4:8] = True
    cut = np.where(bridge, 0, lesions)
    assert split(left | right | necrosis, cut, 0.01)[1] == 1, "it touches both, and so they are one as before"


def test_a_segment_drawn_inside_another_is_one_lesion():
    left, right = touching_halves()
    whole = left | right
    assert lesion_map(placed(whole, right), left.shape) is None
    third = np.zeros(left.shape, bool)
    third[0, 0, 0] = True
    found = lesion_map(placed(whole, right, third), left.shape)
    assert len(np.unique(found[whole])) == 1 and found[0, 0, 0] not in found[whole]


def test_slightly_overlapping_segments_give_shared_voxels_to_the_first():
    left, right = touching_halves()
    right[2:6, 2:8, 5:6] = True
    lesions = lesion_map(placed(left, right), left.shape)
    assert (lesions[left] == 1).all() and (lesions[right & ~left] == 2).all()


def test_a_fragment_left_by_the_split_stays_with_its_neighbor():
    left, right = touching_halves()
    crumb = np.zeros(left.shape, bool)
    crumb[3, 3, 9] = True  # drawn in the segment of the left one, touches only the right one
    lesions = lesion_map(placed(left | crumb, right), left.shape)
    for voxel_ml, expected in ((0.01, 2), (0.06, 3)):
        assert split(lesions > 0, lesions, voxel_ml)[1] == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_lesions_that_do_not_touch_are_numbered_as_without(seed):
    """Where no two segments touch, the lesion map changes nothing, whatever the voxels are."""
    rng = np.random.default_rng(seed)
    tumor = rng.random((6, 12, 14)) < 0.06
    parts, count = label(tumor, structure=FULL)
    owner = rng.integers(0, 4, count + 1)
    lesions = np.where(tumor, owner[parts], 0)
    liver = np.ones(tumor.shape, bool)
    plain, mapped = (RegionSet.from_masks(liver, tumor, np.eye(4), which) for which in (None, lesions))
    assert np.array_equal(plain.labels, mapped.labels)
    assert [vars(region) for region in plain.regions] == [vars(region) for region in mapped.regions]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_every_voxel_belongs_to_one_lesion_and_lesions_to_one_owner(seed):
    rng = np.random.default_rng(seed)
    tumor, lesions = rng.random((5, 9, 10)) < 0.5, rng.integers(1, 4, (5, 9, 10))
    parts, count = split(tumor, lesions, 1.0)  # voxels of 1 ml: no part is too small to be a lesion
    assert np.array_equal(parts > 0, tumor) and set(np.unique(parts)) - {0} == set(range(1, count + 1))
    for n in range(1, count + 1):
        assert len(np.unique(lesions[parts == n])) == 1 and label(parts == n, structure=FULL)[1] == 1
    for number in np.unique(lesions):
        assert label(tumor & (lesions == number), structure=FULL)[1] == len(
            np.unique(parts[tumor & (lesions == number)])
        )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Tumor 1", "Tumor 2"], (0, 1)),
        (["Tumor", "Lesion 2", "Lesion_3"], (0, 1, 2)),
        (["HCC", "satellite nodule"], (0, 1)),
        (["Liver tumor A", "Liver tumor B"], (0, 1)),
        (["tumour II", "tumour (edited)"], (0, 1)),
        (["Tumor", "Necrosis"], (0,)),
        (["viable tumor", "Tumor 2"], (1,)),
        (["Tumors", "Lesion 2"], (1,)),
        (["whole tumor", "enhancing tumor", "tumor core"], ()),
        (["label 2", "label 3"], ()),
        (["Tumor (label 2)", "Tumor (label 3)"], ()),
        (["tumor CT", "tumor PET"], ()),
        (["Segment_1", "Segment_2"], ()),
        (["Segment_1", "Lesion 2", "Lesion 3"], (1, 2)),
    ],
)
def test_names_of_one_lesion_are_recognized(names, expected):
    candidates = [Candidate(str(n), name) for n, name in enumerate(names)]
    assert one_lesion_each(candidates, range(len(names))) == expected


def test_the_code_of_a_necrosis_is_a_part_whatever_its_name():
    candidates = [Candidate("1", "Tumor 1", ("SCT", "6574001")), Candidate("2", "Tumor 2"), Candidate("3", "Tumor 3")]
    assert one_lesion_each(candidates, (0, 1, 2)) == (1, 2)


def two_drawn() -> tuple:
    """A case with two touching lesions, and the mask of each."""
    case = small_case(lesions=(((10.0, 0.0, 0.0), 15.0), ((-17.0, 0.0, 0.0), 14.0)))
    at = world(case.reference.shape, case.reference.ijk_to_ras) - np.array([10.0, -5.0, 20.0])
    second = case.tumor & (at[..., 0] < -3.5)
    first = case.tumor & ~second
    assert label(case.tumor, structure=FULL)[1] == 1 and first.any() and second.any()
    return case, first, second


def test_from_a_file_with_two_segments_to_two_regions(tmp_path):
    case, first, second = two_drawn()
    ct = write_volume(case.volumes[Modality.CT], tmp_path / "ct.nii.gz")

    def opened(*masks):
        path = tmp_path / "m.seg.nrrd"
        write_segmentation([("Liver", "liver", case.liver), *masks], case.reference.ijk_to_ras, path)
        return open_case(ct, segmentation=path)

    one = opened(("Tumor", "tumor", first | second))
    two = opened(("Tumor 1", "tumor", first), ("Tumor 2", "tumor", second))
    parts = opened(("Tumor", "tumor", first), ("Necrosis", "tumor", second))
    assert [len(regions_of(c).lesions) for c in (one, two, parts)] == [1, 2, 1]
    assert np.array_equal(one.tumor, two.tumor) and np.array_equal(one.liver, two.liver)
    assert {r.voxels for r in regions_of(two).lesions} == {int(first.sum()), int(second.sum())}
    edited = rechecked(two, None, two.tumor, lesions=two.lesions)
    assert len(regions_of(edited).lesions) == 2
    assert len(regions_of(rechecked(two, two.liver, None)).lesions) == 2, "another liver mask must keep the lesions"
    assert len(regions_of(rechecked(two, None, two.tumor)).lesions) == 1, "a plain mask must merge touching lesions"
