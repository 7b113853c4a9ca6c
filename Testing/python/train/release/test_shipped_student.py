"""The shipped student: the claims in its metadata, reproduced on patients it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.phantom import GRADES, acquire, draw_patient
from REACTKDLib.core.student.bundle import Bundle, shipped_bundle_folder
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.release.card import auc_table, gain_table, masks_table, page_texts
from REACTKDTrainLib.release.card import card as written_card

REPOSITORY = Path(__file__).resolve().parents[4]
CT, PET, ALL = "ct", "fdg+acetate", "ct+fdg+acetate"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(shipped_bundle_folder())


@pytest.fixture(scope="module")
def evaluation(bundle):
    return bundle.info["evaluation"]


def test_the_metadata_state_model_data_and_limits(bundle):
    assert bundle.info["clinical_use"] == "trained on digital phantoms: not for clinical use"
    training = bundle.info["training"]
    assert training["recipe"]["biology"] == "shared"
    spans = [training[f"{part}seeds"] for part in ("", "validation_", "conformal_", "test_")]
    for n, (first, last) in enumerate(spans):  # tested on patients used neither for training nor for any choice
        assert all(last < low or high < first for low, high in spans[:n])
    assert bundle.info["evaluation"]["cases"] == training["test_seeds"][1] - training["test_seeds"][0] + 1
    assert training["cases"] == training["seeds"][1] - training["seeds"][0] + 1


def test_livers_of_its_training_patients_are_in_the_stated_range(bundle):
    """Livers are drawn with 95 to 120 HU; fissures and cysts in the mask darken them a little."""
    least, most = bundle.trained_on.organ_hu
    assert 90 <= least <= 95 and 118 <= most <= 121
    for seed in range(bundle.info["training"]["seeds"][0], bundle.info["training"]["seeds"][0] + 3):
        case = acquire(draw_patient(seed, cohort="large"), "small", around_liver_mm=10.0).case
        mean = case.volumes[Modality.CT].array[case.liver & ~case.tumor].mean()
        assert least - 3 <= mean <= most + 3, "of coarser voxels than those of training"


def test_the_student_is_distilled_and_has_a_card(bundle):
    chosen = bundle.info["training"]["distillation"]["chosen"]
    assert chosen["method"] != "none" and chosen["share"] > 0
    card = (shipped_bundle_folder() / "docs" / "README.md").read_text(encoding="utf-8")
    assert card == written_card(bundle.info["training"], bundle.info["evaluation"])
    assert "not for clinical use" in card
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    sections = ("Model details", "Intended use", "Training data", "Evaluation", "Limitations", "With MONAI")
    assert headings == [f"## {name}" for name in sections]


def test_pages_show_the_tables_of_the_metadata(bundle):
    for page, group in (
        ("README.md", ["summary"]),
        ("docs/results/shipped_student.md", ["made", "auc", "gains", "sets"]),
    ):
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        for name in group:
            assert f"<!-- release:{name} -->\n{page_texts(bundle.info)[name]}\n<!-- /release -->" in text, name


def test_every_subset_is_compared_with_every_baseline(evaluation):
    assert len(evaluation["subsets"]) == 7
    for subset in evaluation["subsets"].values():
        assert set(subset) == {
            "Bayes limit",
            "Bayes limit with masks",
            "input moments",
            "band moments",
            "band and shell moments",
            "moments and shapes",
            "tuned without a teacher",
            "student",
            "logistic regression by hand",
        }
        for row in subset.values():
            assert row["auc"] <= subset["Bayes limit with masks"]["auc"] + 0.005
            assert row["interval95"][0] < row["auc"] < row["interval95"][1]


def test_combinations_of_images_have_clearly_different_aucs(evaluation):
    """A student that relies only on the topology node has the same AUC whatever images it gets."""
    intervals = [evaluation["subsets"][s]["student"]["interval95"] for s in (CT, PET)]
    assert intervals[0][1] < intervals[1][0]
    assert evaluation["subsets"][ALL]["student"]["auc"] > evaluation["subsets"][CT]["student"]["auc"] + 0.05


def test_the_student_is_better_than_input_moments_on_ct(evaluation):
    assert evaluation["gains"][CT]["input moments"]["interval95"][0] > 0


def test_tables_can_be_printed(evaluation):
    assert auc_table(evaluation).count("\n") == 11
    assert "logistic regression by hand" in gain_table(evaluation)
    assert masks_table(evaluation).count("\n") == 4


@pytest.mark.slow
def test_measured_aucs_are_reproduced_on_new_patients(bundle, evaluation):
    """120 patients go through scanner, file arrays, preparation and grader, like a reader's case.

    With sixty, all images exceeded CT by 0.027, below the required 0.03; with these, by 0.083.
    """
    grader = Grader(bundle, device="cpu")
    subsets = {CT: (), PET: (), ALL: ()}
    leave_out = {CT: (Modality.FDG, Modality.ACETATE), PET: (Modality.CT,), ALL: ()}
    scores = {name: [] for name in subsets}
    grades = []
    for n in range(120):
        grades.append(n % 3)
        case = acquire(draw_patient(90_000 + n, GRADES[n % 3], "large"), "full", around_liver_mm=40).case
        session = grader.open(case)
        for name in subsets:
            report = session.grade(leave_out=leave_out[name]).report
            scores[name].append([report.probabilities[g] for g in GRADES])
    auc = {name: macro_auc(np.array(grades), np.array(rows)) for name, rows in scores.items()}
    for name, value in auc.items():
        assert abs(value - evaluation["subsets"][name]["student"]["auc"]) < 0.1, auc
    assert auc[ALL] > auc[CT] + 0.03 and auc[PET] > auc[CT], auc
