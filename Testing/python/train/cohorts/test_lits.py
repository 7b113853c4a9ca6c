"""LiTS17 and MSD Task03_Liver: the rules for their known problem cases, on small files that imitate them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.geometry import to_ras_order
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDTrainLib.cohorts.layouts.lits import is_lits, survey_lits
from REACTKDTrainLib.cohorts.listed import datalist_cohort, of_survey
from support.cohort_files import LIVER, MASS, abdomen, labels, place, turned, write


def pair(root, number, image=None, mask=None, where=None, where_mask=None, suffix=".nii"):
    """Write one LiTS case; image and mask are given as arrays, their geometry as matrices."""
    image, mask = abdomen(number) if image is None else image, labels() if mask is None else mask
    where = place() if where is None else where
    write(image, where, root / f"volume-{number}{suffix}")
    write(mask, where if where_mask is None else where_mask, root / f"segmentation-{number}{suffix}")


def found(survey, case: str) -> dict[str, str]:
    return {p.code: p.message for p in survey.problems if p.case == case}


def test_the_whole_liver_is_every_label_above_zero_and_every_lesion_is_kept(tmp_path):
    pair(tmp_path / "Training Batch 1", 0)
    pair(tmp_path / "renamed" / "deep", 30, suffix=".nii.gz")
    survey = survey_lits(tmp_path)
    assert [c.id for c in survey.cases] == ["lits-000", "lits-030"] and survey.problems == ()
    assert all(c.grade is None and c.modalities == ("ct",) for c in survey.cases)
    case = survey.cases[0].load()
    assert np.array_equal(case.liver, LIVER) and np.array_equal(case.tumor, LIVER & MASS)
    assert len(RegionSet.from_masks(case.liver, case.tumor, case.reference.ijk_to_ras).lesions) == 2


def test_cases_of_3d_ircadb_are_flagged_for_their_spacing(tmp_path):
    pair(tmp_path, 28, where=np.eye(4))
    pair(tmp_path, 27)
    survey = survey_lits(tmp_path)
    assert "3D-IRCADb-01 (28-47)" in found(survey, "lits-028")["spacing-unknown"]
    assert found(survey, "lits-027") == {} and len(survey.cases) == 2


def test_the_geometry_of_the_image_wins(tmp_path):  # 48-52
    other = place(700.0)
    pair(tmp_path, 48, where_mask=other)
    pair(tmp_path, 51, where_mask=np.eye(4))
    survey = survey_lits(tmp_path)
    for case in survey.cases:
        assert "the volume's is used" in found(survey, case.id)["geometry-overruled"]
        opened = case.load()
        assert np.array_equal(opened.tumor, LIVER & MASS)
        assert "mask-geometry-overruled" in {f.code for f in opened.findings}


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_any_stated_orientation_gives_the_same_case(tmp_path, axes):
    image, where = turned(abdomen(1), place(), axes)
    mask, _ = turned(labels(), place(), axes)
    pair(tmp_path, 70, image, mask, where)
    survey = survey_lits(tmp_path)
    assert survey.problems == ()
    opened = survey.cases[0].load()
    tumor, _ = to_ras_order(opened.tumor, opened.reference.ijk_to_ras)
    truth, _ = to_ras_order(LIVER & MASS, place())
    assert np.array_equal(tumor, truth)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ((2,), "the liver lies on the patient's left"),
        ((0,), "the lungs lie below the liver"),
        ((1,), "most bone lies in front"),
        ((1, 2), "the liver lies on the patient's left and most bone lies in front"),
    ],
)
def test_a_wrong_stated_orientation_is_reported(tmp_path, axes, words):
    pair(tmp_path, 70, np.flip(abdomen(1), axes).copy(), np.flip(labels(), axes).copy())
    message = found(survey_lits(tmp_path), "lits-070")["orientation"]
    assert message == f"By the header {words}: the orientation may be stated wrongly; look at the case."


def test_padding_outliers_unknown_labels_and_missing_tumors_are_reported(tmp_path):
    image = abdomen(2)
    image[:, 0] = -3024
    pair(tmp_path, 0, image)
    pair(tmp_path, 1, mask=LIVER.astype(np.uint8))
    pair(tmp_path, 2, mask=labels() * 2)
    survey = survey_lits(tmp_path)
    assert "-3024" in found(survey, "lits-000")["values"]
    assert "no-tumor" in found(survey, "lits-001") and "[0, 2, 4]" in found(survey, "lits-002")["odd-labels"]
    assert not survey.cases[1].load().tumor.any()


def test_missing_duplicated_and_broken_files_are_reported(tmp_path):
    pair(tmp_path, 0)
    pair(tmp_path / "again", 0)
    write(abdomen(), place(), tmp_path / "volume-5.nii")
    write(labels(), place(), tmp_path / "segmentation-6.nii")
    for name in ("volume-7.nii", "segmentation-7.nii"):
        (tmp_path / name).write_bytes(b"cut off")
    survey = survey_lits(tmp_path)
    assert [c.id for c in survey.cases] == ["lits-000"]
    assert "more than one volume" in found(survey, "lits-000")["twice"]
    assert {"lits-005": "no-labels", "lits-006": "no-image", "lits-007": "unreadable"} == {
        c: next(iter(found(survey, c))) for c in ("lits-005", "lits-006", "lits-007")
    }
    assert {case for case, _ in survey.skipped} == {"lits-005", "lits-006", "lits-007"}


def test_test_volumes_are_ignored_and_reported(tmp_path):
    pair(tmp_path, 59)
    for number in (58, 59):
        write(abdomen(), place(), tmp_path / f"test-volume-{number}.nii")
    survey = survey_lits(tmp_path)
    assert [c.id for c in survey.cases] == ["lits-059"]
    assert found(survey, "") == {
        "test-volumes": "Passed over 2 test volumes without labels (two axes of test-volume-59 are exchanged)."
    }


@pytest.fixture
def task03(tmp_path):
    """MSD Task03_Liver as unpacked on a Mac, with its own list."""
    entries = []
    for number in (0, 4):
        write(abdomen(number), place(), tmp_path / "imagesTr" / f"liver_{number}.nii.gz")
        write(labels(), place(), tmp_path / "labelsTr" / f"liver_{number}.nii.gz")
        for folder in ("imagesTr", "labelsTr"):
            (tmp_path / folder / f"._liver_{number}.nii.gz").write_bytes(b"Mac OS X")
        entries.append({"image": f"./imagesTr/liver_{number}.nii.gz", "label": f"./labelsTr/liver_{number}.nii.gz"})
    write(abdomen(9), place(), tmp_path / "imagesTs" / "liver_159.nii.gz")
    listed = {
        "name": "LIVER", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "cancer"},
        "numTraining": 2, "numTest": 1, "training": entries, "test": ["./imagesTs/liver_159.nii.gz"],
    }  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    return tmp_path


def test_the_folder_of_msd_task03_is_read(task03):
    assert is_lits(task03)
    survey = survey_lits(task03)
    assert survey.kind == "MSD Task03_Liver" and [c.id for c in survey.cases] == ["lits-000", "lits-004"]
    assert found(survey, "") == {"test-volumes": "Passed over 1 test volume without labels."}
    assert len(of_survey(survey)) == 2


def test_its_own_datalist_gives_the_same_cases(task03):
    cohort = datalist_cohort(task03 / "dataset.json")
    assert [(c.modalities, c.grade) for c in cohort.cases] == [(("ct",), None)] * 2
    case = cohort.cases[0].load()
    assert np.array_equal(case.liver, LIVER) and np.array_equal(case.tumor, LIVER & MASS)


def test_progress_and_refusal(tmp_path):
    pair(tmp_path, 3)
    seen = []
    survey_lits(tmp_path, lambda f, t: seen.append(f))
    assert seen == [0.0, 1.0]
    write_volume(Volume(abdomen(), place()), tmp_path / "other" / "scan.nii.gz")
    assert not is_lits(tmp_path / "other")
