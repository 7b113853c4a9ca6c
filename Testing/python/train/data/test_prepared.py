"""Prepared cases: equal to what a reader's case would give, found again by content, stored completely or not at all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.images.case import Case, organ_mean_hu
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.masks.placement import place_regions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.normalize import liver_window
from REACTKDLib.core.student.pooling import NodeMasks
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.phantom import phantom_case
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.annotators import MaskPerturbation, Outlines, _bridges
from REACTKDTrainLib.data.case import Shells, SoftBox
from REACTKDTrainLib.data.scan_content import scan_content
from REACTKDTrainLib.data.store import PreparedStore
from support.small_models import small_bundle


@pytest.fixture(scope="module")
def case() -> CohortCase:
    return phantom_case("hospital", 7, "tiny")


def test_prepared_images_equal_those_of_the_grader(case: CohortCase, tmp_path: Path) -> None:
    prepared = PreparedStore(tmp_path, preparation_of("tiny")).get(case)
    wanted = preparation_of("tiny")(case.load())
    box = tuple(slice(s, s + n) for s, n in zip(prepared.start, prepared.shape, strict=True))
    for modality, image in wanted.images.items():
        have = prepared.images[modality.value].numpy()
        if modality.value == "ct":
            have = liver_window(have, 107.0, 25.0)
        np.testing.assert_allclose(have, image[box], atol=6e-3)  # stored as float16: 0.125 HU is 0.005


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_ct_values_of_an_organ_are_those_that_grading_compares(size: str, tmp_path: Path) -> None:
    """On the network's grid, without the organ's rim, they were 4 to 9 HU higher, so that a case of the training itself
    was near the limit of the finding. A model that was trained on this case alone must not report it.
    """
    case = phantom_case("hospital", 7, size)
    store, opened = PreparedStore(tmp_path, preparation_of(size)), case.load()
    assert store.organ_hu(case) is None, "not prepared"
    store.get(case)
    hu = opened.volumes[Modality.CT].array[opened.liver & ~opened.tumor]
    assert store.organ_hu(case) == pytest.approx(np.clip(hu, -160, 240).mean(), abs=1.0)
    mean = store.organ_hu(case)
    for away, reported in ((14.9, False), (15.1, True)):
        seen = {"images": {"ct+fdg+acetate": 1}, "modality_dropout": 0.3, "organ_hu": [mean + away, mean + away]}
        report = Grader(small_bundle(1, {"trained_on": seen}), "cpu").open(opened).grade().report
        assert ("ct-unlike-training" in [finding.code for finding in report.findings]) is reported


def test_an_organ_of_lesions_only_and_a_case_without_ct_have_no_ct_values() -> None:
    case = phantom_case("hospital", 7, "tiny").load()
    pet = replace(case, volumes={Modality.CT: case.volumes[Modality.CT]}, tumor=case.liver)
    assert organ_mean_hu(pet, (-160, 240)) is None
    fdg = case.volumes[Modality.FDG]
    inside = np.ones(fdg.shape, dtype=bool)
    assert organ_mean_hu(Case("pet", {Modality.FDG: fdg}, inside, ~inside), (-160, 240)) is None


def test_a_scan_is_recognized_by_its_voxels_in_any_format(case: CohortCase, tmp_path: Path) -> None:
    store, other = PreparedStore(tmp_path, preparation_of("tiny")), phantom_case("hospital", 8, "tiny")
    assert store.scans(case) == {}
    for one in (case, other):
        store.get(one)
    assert set(store.scans(case)) == {"ct", "fdg", "acetate"}
    assert not set(store.scans(case).values()) & set(store.scans(other).values())
    array = case.load().volumes[Modality.CT].array
    assert store.scans(case)["ct"] == scan_content(array)
    assert scan_content(array[::-1].transpose(2, 0, 1).astype(np.float64)) == scan_content(array)
    changed = array.copy()
    changed[0, 0, 0] += 1
    assert scan_content(changed) != scan_content(array) and scan_content(array[1:]) != scan_content(array)
    assert scan_content(np.zeros((3, 4, 5))) == scan_content(np.empty((0, 4, 5))) == ""


def test_prepared_masks_equal_those_of_the_grader(case: CohortCase, tmp_path: Path) -> None:
    prepared = PreparedStore(tmp_path, preparation_of("tiny"), whole_grid=True).get(case)
    opened = case.load()
    regions = RegionSet.from_masks(opened.liver, opened.tumor, opened.reference.ijk_to_ras)
    grid, _ = preparation_of("tiny").grid_for(opened)
    (expert,) = prepared.masks
    assert prepared.shape == grid.shape
    np.testing.assert_allclose(expert.occupancy.numpy(), regions.occupancy(grid), atol=1 / 255)
    placed = place_regions(regions, grid)
    for shells, (box, wanted) in zip(expert.shells, placed.shells, strict=True):
        where = tuple(slice(p.start + b.start, p.start + b.stop) for p, b in zip(placed.box, box, strict=True))
        np.testing.assert_allclose(shells[(slice(None), *where)].numpy(), wanted, atol=1 / 255)
        assert (shells > 0).sum() == (shells[(slice(None), *where)] > 0).sum()
    np.testing.assert_allclose(expert.volumes_ml, [r.volume_ml for r in regions.regions], rtol=1e-5)
    assert expert.matches.tolist() == list(range(len(regions.regions)))


def test_a_lesion_is_the_same_from_its_box_and_from_the_whole_case(case: CohortCase) -> None:
    prepared = PreparedStore(Path(), preparation_of("tiny"), variants=2).make(case)
    for masks in prepared.masks:
        stored, dense = masks.node_masks(), NodeMasks(masks.occupancy, masks.shells)
        for n in range(len(masks) - 1):
            (box, occupancy, shells), (box_, occupancy_, shells_) = stored.lesion(n), dense.lesion(n)
            assert box == box_ and torch.equal(occupancy, occupancy_) and torch.equal(shells, shells_)
    nothing = SoftBox(torch.zeros(7, 2, 3, 4, dtype=torch.uint8), (1, 2, 3))
    box, weights = Shells((nothing,), (9, 9, 9)).boxed(0)
    assert box == (slice(0, 1),) * 3 and weights.shape == (7, 1, 1, 1) and not weights.any()


def test_bridges_are_at_the_shortest_distance_between_lesions() -> None:
    """Searching only near pairs gives the same result as searching the whole grid."""
    rng, spacing, found = np.random.default_rng(5), np.array([2.5, 0.8, 0.9]), 0
    for _ in range(6):
        lesions = []
        for _ in range(3):
            low = rng.integers(1, [9, 28, 28])
            lesions.append(np.zeros((16, 44, 44), dtype=bool))
            lesions[-1][tuple(slice(a, a + n) for a, n in zip(low, rng.integers(2, 9, 3), strict=True))] = True
        away, wanted = [distance_transform_edt(~lesion, sampling=spacing) for lesion in lesions], []
        for n, m in ((0, 1), (0, 2), (1, 2)):
            gap = away[n][lesions[m]].min()
            wanted += [away[n] + away[m] <= gap + 2.5] if gap <= 6.0 else []
        whole = tuple(slice(0, n) for n in lesions[0].shape)
        have = [np.zeros_like(lesions[0]) for _ in wanted]
        for out, (box, bridge) in zip(
            have, _bridges([(whole, a) for a in lesions], spacing, 6.0, lesions[0].shape), strict=True
        ):
            out[box] = bridge
        assert all(np.array_equal(a, b) for a, b in zip(have, wanted, strict=True))
        found += len(have)
    assert 3 < found < 18


def test_the_box_is_a_part_of_the_whole_grid(case: CohortCase, tmp_path: Path) -> None:
    part = PreparedStore(tmp_path, preparation_of("tiny"), variants=1).get(case)
    whole = PreparedStore(tmp_path, preparation_of("tiny"), variants=1, whole_grid=True).get(case)
    box = tuple(slice(s, s + n) for s, n in zip(part.start, part.shape, strict=True))
    assert all(s % 8 == 0 and n % 8 == 0 for s, n in zip(part.start, part.shape, strict=True))
    for name, image in part.images.items():
        assert torch.equal(image, whole.images[name][box])
    for a, b in zip(part.masks, whole.masks, strict=True):
        assert torch.equal(a.occupancy, b.occupancy[(slice(None), *box)])
        assert a.occupancy.sum() == b.occupancy.sum()


def test_a_case_is_made_once_and_read_after_that(case: CohortCase, tmp_path: Path) -> None:
    opened = []

    def load() -> Case:
        opened.append(1)
        return case.load()

    counted = CohortCase(case.id, case.patient, case.grade, case.modalities, load, case.fingerprint)
    store = PreparedStore(tmp_path, preparation_of("tiny"), variants=2)
    first, second = store.get(counted), store.get(counted)
    assert opened == [1]
    assert torch.equal(first.masks[2].occupancy, second.masks[2].occupancy)


def test_whatever_changes_the_content_changes_the_key(case: CohortCase, tmp_path: Path) -> None:
    other = CohortCase(case.id, case.patient, case.grade, case.modalities, case.load, "another content")
    stores = [
        PreparedStore(tmp_path, preparation_of("tiny")),
        PreparedStore(tmp_path, preparation_of("small")),
        PreparedStore(tmp_path, preparation_of("tiny"), whole_grid=True),
        PreparedStore(tmp_path, preparation_of("tiny"), variants=1),
        PreparedStore(tmp_path, preparation_of("tiny"), variants=1, seed=1),
        PreparedStore(tmp_path, preparation_of("tiny"), variants=1, perturbation=MaskPerturbation(drop=0.5)),
    ]
    keys = [store.key(c) for store in stores for c in (case, other)]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_another_process_draws_the_same_errors(tmp_path: Path) -> None:
    cases = [phantom_case("hospital", n, "tiny") for n in (3, 4)]
    here = PreparedStore(tmp_path / "here", preparation_of("tiny"), variants=2)
    there = PreparedStore(tmp_path / "there", preparation_of("tiny"), variants=2)
    steps = []
    there.prepare(cases, lambda *result: steps.append(result), engine=Engine(2))
    assert steps == [(0.5, "1 of 2"), (1, "2 of 2")]
    for case in cases:
        assert here.path(case).name == there.path(case).name
        for a, b in zip(here.get(case).masks, there.get(case).masks, strict=True):
            assert torch.equal(a.occupancy, b.occupancy)
            assert torch.equal(a.topology, b.topology)


def test_a_case_that_cannot_be_opened_leaves_nothing(tmp_path: Path) -> None:
    def load() -> Case:
        raise UsageError("The file is broken; copy it again.")

    broken = CohortCase("a", "a", 0, ("ct",), load, "x")
    with pytest.raises(ReactkdError, match="broken"):
        PreparedStore(tmp_path, preparation_of("tiny")).get(broken)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------- other annotators
def balls(*centers_radii: tuple[tuple[int, int, int], float], shape: tuple[int, int, int] = (40, 60, 60)) -> np.ndarray:
    grid = np.indices(shape)
    out = np.zeros(shape, dtype=bool)
    for center, radius in centers_radii:
        out |= sum((g - c) ** 2 for g, c in zip(grid, center, strict=True)) <= radius**2
    return out


LIVER = balls(((20, 30, 30), 18))
ONE_MM = np.ones(3)
STILL = MaskPerturbation(border_mm=0, wander_mm=0, liver_mm=0, merge=0, drop=0)


def count(mask: np.ndarray) -> int:
    return len(RegionSet.from_masks(LIVER, mask, np.eye(4)).lesions)


def test_without_perturbation_the_masks_stay() -> None:
    tumor = balls(((20, 30, 24), 5), ((20, 30, 38), 4))
    liver, moved = Outlines(LIVER, tumor, ONE_MM, STILL).drawn(np.random.default_rng(0))
    assert np.array_equal(liver, LIVER)
    assert np.array_equal(moved, tumor)


def test_a_border_moves_out_and_in() -> None:
    tumor = balls(((20, 30, 30), 8))
    how = MaskPerturbation(border_mm=3, wander_mm=0, liver_mm=0, merge=0, drop=0)
    sizes = [Outlines(LIVER, tumor, ONE_MM, how).drawn(np.random.default_rng(n))[1].sum() for n in range(24)]
    assert min(sizes) < 0.75 * tumor.sum() < 1.33 * tumor.sum() < max(sizes)
    assert min(sizes) >= 0.9 * 4 / 3 * np.pi * 4.5**3  # 3 mm inward, and one voxel of rounding
    assert max(sizes) <= 1.1 * 4 / 3 * np.pi * 11.5**3


def test_near_lesions_are_merged_and_far_ones_are_not() -> None:
    how = MaskPerturbation(border_mm=0, wander_mm=0, liver_mm=0, merge_mm=8, merge=1, drop=0)
    near = balls(((20, 30, 24), 4), ((20, 30, 38), 4))  # 5 mm apart
    far = balls(((20, 30, 16), 3), ((20, 30, 44), 3))
    rng = np.random.default_rng(0)
    merged = Outlines(LIVER, near, ONE_MM, how).drawn(rng)[1]
    assert (count(near), count(merged)) == (2, 1)
    assert (merged & near).sum() == near.sum()
    assert count(Outlines(LIVER, far, ONE_MM, how).drawn(rng)[1]) == 2


def test_the_largest_lesion_is_never_the_one_that_is_missed() -> None:
    tumor = balls(((20, 30, 20), 6), ((20, 30, 38), 3), ((28, 30, 30), 2))
    how = MaskPerturbation(border_mm=0, wander_mm=0, liver_mm=0, merge=0, drop=1)
    for n in range(12):
        moved = Outlines(LIVER, tumor, ONE_MM, how).drawn(np.random.default_rng(n))[1]
        assert count(moved) == 2
        assert moved[20, 30, 20]


@pytest.mark.parametrize("seed", range(8))
def test_every_lesion_is_one_piece_inside_the_liver_and_none_is_empty(seed: int) -> None:
    tumor = balls(((20, 30, 16), 5), ((20, 30, 38), 1), ((9, 30, 30), 2))
    how = MaskPerturbation(border_mm=4, wander_mm=2, drop=0, merge=0)
    liver, moved = Outlines(LIVER, tumor, np.array([2.5, 0.8, 0.8]), how).drawn(np.random.default_rng(seed))
    assert 1 <= count(moved) <= 3
    assert not (moved & ~liver).any()


def test_a_liver_without_lesions_stays_without() -> None:
    liver, tumor = Outlines(LIVER, np.zeros_like(LIVER), ONE_MM, MaskPerturbation()).drawn(np.random.default_rng(0))
    assert liver.any()
    assert not tumor.any()


@pytest.mark.parametrize("field, value", [("border_mm", -1), ("wander_mm", 99), ("merge", 2), ("drop", -0.1)])
def test_a_wrong_magnitude_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        MaskPerturbation(**{field: value})


def test_matches_map_each_region_to_the_experts_region(tmp_path: Path) -> None:
    found = 0
    for seed in range(12):
        case = phantom_case("hospital", seed, "tiny")
        expert, other = PreparedStore(tmp_path, preparation_of("tiny"), variants=1).get(case).masks
        assert len(other.matches) == len(other)
        assert other.matches[0] == 0
        assert (other.matches[1:] < len(expert)).all()
        assert 1 in other.matches.tolist()  # the largest lesion is never missed
        found += len(other) != len(expert)
    assert found > 0


# ------------------------------------------------------------------------------------------------------------- cohorts
def test_a_cohort_without_cases_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no case"):
        Cohort("empty", ())


def test_one_id_for_two_cases_is_refused(case: CohortCase) -> None:
    with pytest.raises(UsageError, match="more than once"):
        Cohort("double", (case, case))


@pytest.mark.parametrize(
    "grade, modalities, answered", [(3, ("ct",), "grade"), (0, ("mr",), "images"), (0, (), "images")]
)
def test_an_impossible_case_is_refused(grade: int, modalities: tuple, answered: str) -> None:
    with pytest.raises(UsageError, match=answered):
        CohortCase("a", "a", grade, modalities, partial(open, "nowhere"), "x")


def test_an_unknown_size_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="full, small, tiny"):
        preparation_of("huge")


def test_a_phantom_whose_lesions_are_told_apart_is_prepared_anew(case: CohortCase) -> None:
    """The tests prepare a phantom once (conftest.py); lesions that only their map tells apart are another case."""

    def regions(split: bool) -> int:
        shown = case.load()
        axis = np.flatnonzero(shown.tumor.any(axis=(1, 2)))
        lesions = shown.tumor.astype(np.uint8)
        lesions[axis[len(axis) // 2] :] *= 1 + split
        cut = replace(case, load=lambda: replace(shown, lesions=lesions))
        return len(PreparedStore(Path(), preparation_of("tiny"), variants=0).make(cut).masks[0].volumes_ml)

    assert regions(split=True) > regions(split=False)
