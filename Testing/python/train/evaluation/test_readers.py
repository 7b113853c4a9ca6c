"""Agreement of readers' grades with each other, the truth and the model, and of masks: by hand and by scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from REACTKDTrainLib.evaluation.mask_agreement import compare_masks
from REACTKDTrainLib.evaluation.readers import StudyReading, agreement, reader_study, scores_of, weighted_kappa

GRADES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=30)


@settings(deadline=None, max_examples=60)
@given(GRADES)
def test_kappa_agrees_with_scikit_learn(pairs):
    a, b = (np.array(column) for column in zip(*pairs))
    found = weighted_kappa(a, b, np.ones((1, len(a))))["value"]
    if len({*a, *b}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=[0, 1, 2]), abs=1e-12)


def test_a_grade_is_scored_by_its_distance_to_the_readers_grade():
    assert scores_of(np.array([0, 1, 2])).tolist() == [[0, -1, -2], [-1, 0, -1], [-2, -1, 0]]


def study_of(rows):
    """rows: (truth, unaided, aided, model) of each case."""
    readings = [StudyReading(f"c{n}", u, a, 60.0, 10.0, m) for n, (_, u, a, m) in enumerate(rows)]
    truth = {f"c{n}": (row[0], f"p{n}") for n, row in enumerate(rows)}
    return readings, truth


ROWS = [  # truth, unaided, aided, model
    (0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1), (1, 1, 1, 1), (1, 2, 1, 1), (1, 0, 1, 1), (2, 2, 2, 2), (2, 1, 2, 2),
    (2, 2, 1, 1), (2, 2, 2, 0),
]  # fmt: skip


def test_measures_of_one_reader_agree_with_hand_worked_values_and_scikit_learn():
    readings, truth = study_of(ROWS)
    found = reader_study({"Anna": readings}, truth, draws=300)
    own = found["readers"]["Anna"]
    assert found["mean"] is None and own["cases"] == 10
    assert (own["changed"], own["better"], own["worse"], own["toward_model"]) == (5, 4, 1, 5)
    assert (own["mcnemar"]["only_a"], own["mcnemar"]["only_b"]) == (4, 1)
    grade = np.array([row[0] for row in ROWS])
    for stage, column in (("unaided", 1), ("aided", 2)):
        given_grades = np.array([row[column] for row in ROWS])
        aucs = [roc_auc_score(grade == c, -np.abs(given_grades - c)) for c in range(3)]
        assert own[f"auc_{stage}"]["value"] == pytest.approx(np.mean(aucs), abs=1e-12)
        low, high = own[f"auc_{stage}"]["interval95"]
        assert low < own[f"auc_{stage}"]["value"] < high
        assert own[f"accuracy_{stage}"]["value"] == pytest.approx(np.mean(given_grades == grade))
    assert own["auc_difference"]["difference"] == pytest.approx(own["auc_aided"]["value"] - own["auc_unaided"]["value"])
    model = np.array([row[3] for row in ROWS])
    kappa = cohen_kappa_score(model, [row[1] for row in ROWS], weights="quadratic")
    assert own["kappa_model_unaided"]["value"] == pytest.approx(kappa) and own["unaided_seconds"] == 60.0


def test_repeated_cases_of_a_patient_do_not_make_a_change_significant():
    """Four cases better and one worse, each of them as two scans of its patient: p stays 2 (1 + 5) / 32."""
    readings, truth = study_of(ROWS)
    twice = [replace(r, case=f"{r.case} {scan}") for scan in "ab" for r in readings]
    own = reader_study({"Anna": twice}, {r.case: truth[r.case[:-2]] for r in twice}, draws=100)["readers"]["Anna"]
    assert (own["mcnemar"]["only_a"], own["mcnemar"]["only_b"]) == (8, 2)
    assert own["mcnemar"]["p"] == pytest.approx(12 / 32)


def test_the_mean_of_readers_is_over_cases_that_all_have_read():
    readings, truth = study_of(ROWS)
    worse = [StudyReading(r.case, 2 - r.unaided, r.aided, model=r.model) for r in readings[:-1]]
    truth["never read"] = (1, "p")
    found = reader_study({"Anna": readings, "Bert": [*worse, StudyReading("unknown", 0, 0)]}, truth, draws=300)
    assert found["without_truth"] == 1 and found["mean"]["cases"] == 9 and found["mean"]["readers"] == 2
    both = [reader_study({"x": own[:9]}, truth, draws=300)["readers"]["x"] for own in (readings, worse)]
    for key in ("auc_unaided", "auc_aided", "accuracy_aided"):
        expected = np.mean([one[key]["value"] for one in both])
        assert found["mean"][key]["value"] == pytest.approx(expected, abs=1e-12)
    assert found["mean"]["auc_difference"]["p"] <= 1 and found["readers"]["Bert"]["unaided_seconds"] is None
    again = reader_study({"Anna": readings}, truth, draws=300)["readers"]["Anna"]
    assert again == found["readers"]["Anna"], "all readers must have the same draws"


def test_a_study_without_one_of_the_grades_has_no_auc():
    readings, truth = study_of(ROWS[:6])
    own = reader_study({"Anna": readings}, truth, draws=50)["readers"]["Anna"]
    assert own["auc_unaided"] == {"value": None, "interval95": None} and own["auc_difference"]["p"] is None
    assert own["accuracy_aided"]["value"] == 1.0


def test_agreement_is_measured_for_each_pair_of_readers():
    grades = {"Anna": {"a": 0, "b": 1, "c": 2}, "Bert": {"b": 1, "c": 0, "d": 2}, "Cleo": {"x": 1}}
    found = {tuple(pair["readers"]): pair for pair in agreement(grades, draws=50)}
    assert found["Anna", "Bert"]["cases"] == 2 and found["Anna", "Bert"]["same"] == 0.5
    assert found["Anna", "Cleo"] == {"readers": ["Anna", "Cleo"], "cases": 0}


def test_mask_agreement_agrees_with_hand_worked_values():
    a, b = np.zeros((30, 30, 30), bool), np.zeros((30, 30, 30), bool)
    a[10:20, 10:20, 10:20] = True
    b[10:20, 10:20, 12:22] = True
    found = compare_masks(a, b, (5.0, 1.0, 1.0))
    assert found["dice"] == pytest.approx(0.8) and found["hausdorff95_mm"] == pytest.approx(2.0)
    assert 0 < found["surface_mm"] < 2.0
    far = compare_masks(a, np.roll(a, 2, axis=0), (5.0, 1.0, 1.0))
    assert far["hausdorff95_mm"] == pytest.approx(10.0), "in mm, along each axis"
    assert compare_masks(a, a, (5.0, 1.0, 1.0)) == {"dice": 1.0, "surface_mm": 0.0, "hausdorff95_mm": 0.0}
    nothing = np.zeros_like(a)
    assert compare_masks(a, nothing, (1.0, 1.0, 1.0)) == {"dice": 0.0, "surface_mm": None, "hausdorff95_mm": None}
    assert compare_masks(nothing, nothing, (1.0, 1.0, 1.0))["dice"] is None


def test_distances_are_those_of_every_surface_voxel():
    from scipy.ndimage import binary_erosion, generate_binary_structure
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(3)
    a, b = (np.kron(rng.random((4, 4, 4)) > 0.6, np.ones((4, 4, 4))).astype(bool) for _ in range(2))
    a[:2], b[-2:] = False, False  # one of them touches the edge of the image
    spacing = (3.0, 1.5, 1.0)
    cross = generate_binary_structure(3, 1)
    points = [np.argwhere(mask & ~binary_erosion(mask, cross)) * spacing for mask in (a, b)]
    distances = cdist(*points)
    nearest = distances.min(axis=1), distances.min(axis=0)
    found = compare_masks(a, b, spacing)
    assert found["surface_mm"] == pytest.approx(np.concatenate(nearest).mean(), rel=1e-4)
    assert found["hausdorff95_mm"] == pytest.approx(max(np.percentile(d, 95) for d in nearest), rel=1e-4)
