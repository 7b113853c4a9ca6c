"""The published layout: two tracers per patient, grades by folder, clinical sheet; and its public CT."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDTrainLib.cohorts.folds import make_folds
from REACTKDTrainLib.cohorts.layout import survey_folder
from REACTKDTrainLib.cohorts.layouts.grouped import survey_grouped
from REACTKDTrainLib.cohorts.layouts.hospital import grade_of_folder, survey_hospital
from REACTKDTrainLib.cohorts.listed import of_survey
from support.cohort_files import LIVER, MASS, abdomen, labels, place, write


def pair(root, grade, patient, tracer, seed=0, leave_out=(), where=None):
    where = place() if where is None else where
    images, masks = (root / top / grade / patient / tracer for top in ("Dataset", "Dataset_seg"))
    files = {
        images / "CT.nii.gz": abdomen(seed),
        images / "PET.nii.gz": np.where(LIVER, 3.0, 1.0).astype(np.float32) + seed,
        masks / "CT_liver.nii.gz": LIVER.astype(np.uint8),
        masks / "CT_tumor.nii.gz": (MASS & LIVER).astype(np.uint8),
    }
    for path, array in files.items():
        if path.name not in leave_out:
            write(array, where, path)


def found(survey, case: str) -> dict[str, str]:
    return {p.code: p.message for p in survey.problems if p.case == case}


@pytest.fixture
def root(tmp_path):
    """Patient a with both tracers, b with acetate only, c with faults."""
    pair(tmp_path, "0_well", "a", "FDG", 1)
    pair(tmp_path, "0_well", "a", "ACT", 2)
    pair(tmp_path, "1_moderately", "b", "ACT", 3)
    pair(tmp_path, "2_poor", "c", "FDG", 4, ("PET.nii.gz",))
    pair(tmp_path, "2_poor", "c", "ACT", 5, ("CT_tumor.nii.gz",))
    return tmp_path


def test_each_pair_is_a_case_of_its_patient(root):
    survey = survey_hospital(root)
    assert [(c.id, c.patient, c.grade, c.modalities) for c in survey.cases] == [
        ("a-FDG", "a", 0, ("ct", "fdg")),
        ("a-ACT", "a", 0, ("ct", "acetate")),
        ("b-ACT", "b", 1, ("ct", "acetate")),
        ("c-FDG", "c", 2, ("ct",)),
    ]
    assert "the CT is used alone" in found(survey, "c-FDG")["pet-missing"]
    assert "no CT_tumor.nii.gz" in found(survey, "c-ACT")["no-segmentation"]
    case = survey.cases[1].load()
    assert np.array_equal(case.tumor, MASS & LIVER) and np.array_equal(case.liver, LIVER)
    assert float(case.volumes[Modality.ACETATE].array.max()) == pytest.approx(5.0, abs=1e-3)


def test_pairs_on_one_grid_can_be_joined(root):
    survey = survey_hospital(root, "joined")
    assert [(c.id, c.modalities) for c in survey.cases][:1] == [("a", ("ct", "fdg", "acetate"))]
    assert len(survey.cases[0].load().volumes) == 3
    pair(root, "0_well", "a", "ACT", 2, where=place(137.0))
    survey = survey_hospital(root, "joined")
    assert [c.id for c in survey.cases][:2] == ["a-FDG", "a-ACT"]
    assert "cannot be joined without registration" in found(survey, "a")["not-joined"]


def test_both_cases_of_a_patient_stay_on_one_side(tmp_path):
    for n in range(12):
        for tracer in ("FDG", "ACT"):
            pair(tmp_path, ("well", "moderate", "poor")[n % 3], f"p{n}", tracer, n)
    cohort = of_survey(survey_hospital(tmp_path))
    for split in make_folds(cohort.graded, 3, 0):
        sides = [{case.patient for case in part} for part in (split.train, split.validation, split.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


@pytest.mark.parametrize(
    ("name", "grade"),
    [("well", 0), ("Moderately differentiated", 1), ("G3_poor", 2), ("1", 1), ("G2", None), ("well-moderate", None),
     ("farewell", None), ("I", None)],
)  # fmt: skip
def test_folder_names_that_are_not_grades_are_not_guessed(name, grade):
    assert grade_of_folder(name) == grade


def test_folder_names_can_be_mapped_to_grades(tmp_path):
    pair(tmp_path, "G2", "a", "FDG")
    survey = survey_hospital(tmp_path)
    assert survey.cases == () and '--grade "G2=well" (or moderate, poor)' in found(survey, "")["grade-unknown"]
    assert [c.grade for c in survey_hospital(tmp_path, grades={"G2": "moderate"}).cases] == [1]
    with pytest.raises(UsageError, match="cannot mean 'middling'"):
        survey_hospital(tmp_path, grades={"G2": "middling"})


def test_numbers_from_1_to_3_are_not_read_as_0_to_2(tmp_path):
    """Folders 1 and 2 used to be read as moderate and poor, and only 3 was left out."""
    for name in ("1", "2", "3", "poor"):
        pair(tmp_path, name, f"p{name}", "FDG")
    survey = survey_hospital(tmp_path)
    assert [(c.patient, c.grade) for c in survey.cases] == [("ppoor", 2)]
    assert {"p1", "p2", "p3"} <= left_out(survey)
    told = survey_hospital(tmp_path, grades={"1": "well", "2": "moderate", "3": "poor"})
    assert {c.patient: c.grade for c in told.cases} == {"p1": 0, "p2": 1, "p3": 2, "ppoor": 2}
    assert {c.patient for c in survey_hospital(tmp_path, grades={"3": "poor"}).cases} == {"p3", "ppoor"}
    (tmp_path / "other").mkdir()
    for name in ("0", "1", "2"):
        pair(tmp_path / "other", name, f"p{name}", "FDG")
    assert {c.patient: c.grade for c in survey_hospital(tmp_path / "other").cases} == {"p0": 0, "p1": 1, "p2": 2}


def test_a_patient_folder_that_is_not_a_tracer_is_reported(root):
    """Otherwise its images would be missing silently."""
    images = root / "Dataset" / "0_well" / "a"
    (images / "ACT").rename(images / "act")
    survey = survey_hospital(root)
    assert [c.id for c in survey.cases if c.patient == "a"] == ["a-FDG"]
    assert "'act'" in found(survey, "a")["not-matched"]
    (images / "FDG").rename(images / "fdg")
    assert {"not-matched", "no-image"} == set(found(survey_hospital(root), "a"))


def test_two_clinical_sheets_are_both_ignored_and_reported(root):
    for name, age in (("clinical.csv", 60), ("clinical_new.csv", 70)):
        (root / name).write_text(f"ID,Age\na,{age}\n")
    survey = survey_hospital(root)
    assert survey.clinical == {}
    assert "2 clinical sheets ('clinical.csv', 'clinical_new.csv')" in found(survey, "")["clinical-sheet"]


def test_a_patient_under_two_grades_is_left_out(root):
    pair(root, "2_poor", "a", "FDG")
    survey = survey_hospital(root)
    assert "'0_well' and '2_poor'" in found(survey, "a")["two-grades"]
    assert not [c for c in survey.cases if c.patient == "a"] and left_out(survey) >= {"a"}


def test_clinical_values_are_kept_and_normalized_ones_are_not(root):
    sheet = root / "FDG_ACT_HCC_CT_clinical_new.csv"
    sheet.write_text("ID,AFP_norm,Hepatitis_mapped,Age_norm,Sex_mapped,Age,Sex,AFP\na,0.4,1,0.7,1,93,F,12.5\n")
    survey = survey_hospital(root)
    assert survey.clinical == {"a": {"sex": "F", "age": 90, "afp_ng_ml": 12.5}}
    assert set(found(survey, "b")) == {"not-in-sheet"}
    assert of_survey(survey).cases[0].clinical["age"] == 90


def grouped(root, grade, patient, mask=None, leave_out=()):
    folder = root / "Public_CT_Grouped" / grade / patient / "labeled"
    for name, array in (("label_phase", abdomen()), ("label_mask", labels() if mask is None else mask)):
        if name not in leave_out:
            write(array, place(), folder / f"{name}.nii.gz")


def test_the_public_ct_of_the_layout_is_a_cohort(tmp_path):
    grouped(tmp_path, "well", "HCC_001")
    vessels = labels()
    vessels[:, 33] = 4
    grouped(tmp_path, "poor", "HCC_017", vessels)
    grouped(tmp_path, "poor", "HCC_020", leave_out=("label_mask",))
    survey = survey_folder(tmp_path)
    assert survey.kind == "public CT, grouped by grade"
    assert {c.id: (c.grade, c.modalities) for c in survey.cases} == {
        "HCC_001": (0, ("ct",)), "HCC_017": (2, ("ct",))}  # fmt: skip
    assert "labels 4, which are not counted as liver" in found(survey, "HCC_017")["odd-labels"]
    assert "no-segmentation" in found(survey, "HCC_020")
    for case in survey.cases:
        opened = case.load()
        assert np.array_equal(opened.liver, LIVER) and np.array_equal(opened.tumor, LIVER & MASS)
    assert [c.id for c in survey_grouped(tmp_path / "Public_CT_Grouped").cases] == ["HCC_017", "HCC_001"]


def test_public_ct_beside_the_hospital_folder_is_reported(root):
    grouped(root, "well", "HCC_001")
    survey = survey_folder(root)
    assert survey.kind.startswith("hospital") and "cohort of its own" in found(survey, "")["other-cohort"]


def left_out(survey) -> set[str]:
    """The patients listed as left out of the cohort that training opens."""
    return {case for case, _ in of_survey(survey).skipped}


@pytest.mark.parametrize("layout", ["hospital", "grouped"])
def test_patients_of_two_folders_or_of_one_without_a_grade_are_left_out_one_by_one(layout, tmp_path):
    def put(grade: str, patient: str) -> None:
        (pair(tmp_path, grade, patient, "FDG") if layout == "hospital" else grouped(tmp_path, grade, patient))

    for grade, patient in (("well", "a"), ("well", "b"), ("poor", "b"), ("G3", "c"), ("G3", "d"), ("poor", "e")):
        put(grade, patient)
    put("G3", "e")
    survey = survey_folder(tmp_path)
    assert {case.patient for case in survey.cases} == {"a"}
    assert left_out(survey) == {"b", "c", "d", "e"}
    assert "4 cases left out" in "\n".join(survey.lines())
    assert {code for patient in "bcde" for code in found(survey, patient)} == {"two-grades", "grade-unknown"}
    assert "G3" in found(survey, "c")["grade-unknown"] and "poor" in found(survey, "b")["two-grades"]
