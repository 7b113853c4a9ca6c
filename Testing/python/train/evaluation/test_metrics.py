"""The content of metrics.json: against hand-worked values, against scikit-learn, and with missing data."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.calibration import expected_calibration_error
from REACTKDTrainLib.evaluation.measures import confusion, table_measures
from REACTKDTrainLib.evaluation.metrics import summarize
from support.predictions import graded_predictions

# Six cases, two of each grade; one well is predicted moderate, one poor is predicted well.
HAND_GRADES = np.array([0, 0, 1, 1, 2, 2])
HAND = np.array([[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3]])


def test_metrics_agree_with_hand_worked_values() -> None:
    found = summarize(HAND_GRADES, HAND, draws=10)
    assert found["confusion"] == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == found["macro_recall"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert found["macro_precision"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert found["macro_f1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)
    # well 0.6, 0.3 against 0.2, 0.3, 0.1, 0.4: 4 + 2.5 of 8; moderate 0.7, 0.4 against 0.3, 0.5, 0.1, 0.3: 4 + 3;
    # poor 0.8, 0.3 against 0.1, 0.2, 0.1, 0.3: 4 + 3.5.
    assert found["auc"] == pytest.approx({"well": 6.5 / 8, "moderate": 7 / 8, "poor": 7.5 / 8})
    assert found["macro_auc"] == pytest.approx(7 / 8)
    # Squared errors: one of 1 (well as moderate), one of 4 (poor as well), against 2/6 * predicted * squared error.
    by_chance = 2 / 6 * (3 * 1 + 1 * 4 + 2 * 1 + 1 * 1 + 2 * 4 + 3 * 1)
    assert found["quadratic_kappa"] == pytest.approx(1 - 5 / by_chance)
    assert found["brier"] == pytest.approx((0.26 + 0.78 + 0.14 + 0.54 + 0.06 + 0.74) / 6)
    assert found["negative_log_likelihood"] == pytest.approx(-np.log([0.6, 0.3, 0.7, 0.4, 0.8, 0.3]).mean())
    assert found["ece"] == pytest.approx(expected_calibration_error(HAND_GRADES, HAND, bins=5))
    assert found["ece"] != pytest.approx(expected_calibration_error(HAND_GRADES, HAND, bins=6))
    assert found["grades"] == {"well": 2, "moderate": 2, "poor": 2}
    assert len(found["notes"]) == 3, "two patients of a grade are few"


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 60), st.integers(0, 10**6), st.floats(0, 3), st.sampled_from([1, None]))
def test_metrics_agree_with_scikit_learn(n: int, seed: int, skill: float, digits: int | None) -> None:
    grades, p = graded_predictions(n, skill, seed, digits)
    found, answered = summarize(grades, p, draws=5), p.argmax(axis=1)
    macro = {"average": "macro", "zero_division": 0}
    assert found["confusion"] == sk.confusion_matrix(grades, answered).tolist()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(grades, answered))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(grades, answered))
    assert found["macro_precision"] == pytest.approx(sk.precision_score(grades, answered, **macro))
    assert found["macro_recall"] == pytest.approx(sk.recall_score(grades, answered, **macro))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(grades, answered, **macro))
    assert found["quadratic_kappa"] == pytest.approx(sk.cohen_kappa_score(grades, answered, weights="quadratic"))
    assert found["macro_auc"] == pytest.approx(sk.roc_auc_score(grades, p, multi_class="ovr"))
    assert found["brier"] == pytest.approx(sum(sk.brier_score_loss(grades == c, p[:, c]) for c in range(3)))
    clipped = np.maximum(p, 1e-12)
    assert found["negative_log_likelihood"] == pytest.approx(-np.log(clipped[np.arange(n), grades]).mean())
    json.dumps(found, allow_nan=False)


def test_resampled_tables_are_those_of_the_repeated_cases() -> None:
    grades, p = graded_predictions(40, skill=0.5)
    answered, weights = p.argmax(axis=1), np.random.default_rng(0).integers(1, 4, (20, 40))
    measures = table_measures(confusion(grades, answered, weights))
    for draw, w in enumerate(weights):
        rows = np.repeat(np.arange(40), w)
        assert measures["macro_f1"][draw] == pytest.approx(sk.f1_score(grades[rows], answered[rows], average="macro"))
        kappa = sk.cohen_kappa_score(grades[rows], answered[rows], weights="quadratic")
        assert measures["quadratic_kappa"][draw] == pytest.approx(kappa)


def test_every_value_lies_in_its_interval_and_repeats() -> None:
    grades, p = graded_predictions(97)
    found = summarize(grades, p)
    names = [name.removesuffix("_interval95") for name in found if name.endswith("_interval95") and name[:3] != "auc"]
    assert {"accuracy", "macro_auc", "macro_f1", "quadratic_kappa", "brier"} <= set(names)
    for name in names:
        low, high = found[f"{name}_interval95"]
        assert low < found[name] < high, name
    for name in GRADES:
        low, high = found["auc_interval95"][name]
        assert low < found["auc"][name] < high
    assert found == summarize(grades, p)
    assert found["macro_auc_interval95"] != summarize(grades, p, seed=1)["macro_auc_interval95"]


def test_a_perfect_and_a_reversed_answer() -> None:
    grades = np.array([0, 1, 2] * 5)
    perfect = summarize(grades, np.eye(3)[grades] * 0.98 + 0.02 / 3, draws=50)
    assert perfect["macro_auc"] == perfect["accuracy"] == perfect["quadratic_kappa"] == 1 and perfect["notes"] == []
    assert summarize(grades, np.eye(3)[2 - grades], draws=50)["quadratic_kappa"] == pytest.approx(-1)


def test_the_order_of_cases_does_not_matter_but_to_the_draws() -> None:
    grades, p = graded_predictions(60, digits=1)
    order = np.random.default_rng(0).permutation(60)
    one, other = summarize(grades, p), summarize(grades[order], p[order])
    values = [name for name, value in one.items() if isinstance(value, float)]
    assert {n: one[n] for n in values} == pytest.approx({n: other[n] for n in values})


def test_cases_of_one_patient_widen_the_interval() -> None:
    """Each case four times: the same value, and, with the true patient IDs, the same interval as the single cases."""
    grades, p = graded_predictions(60)
    single = summarize(grades, p)
    four = np.tile(np.arange(60), 4)
    known, unknown = summarize(grades[four], p[four], patients=four), summarize(grades[four], p[four])
    assert known["macro_auc"] == pytest.approx(single["macro_auc"])
    assert known["macro_auc_interval95"] == pytest.approx(single["macro_auc_interval95"])
    assert np.ptp(unknown["macro_auc_interval95"]) < 0.7 * np.ptp(known["macro_auc_interval95"])
    assert (known["patients"], known["n"]) == (60, 240)


@pytest.mark.parametrize(
    ("grades", "undefined", "note"),
    [
        (
            [0, 0, 1, 1],
            {"macro_auc", "macro_recall", "macro_precision", "macro_f1", "balanced_accuracy"},
            "graded poor",
        ),
        ([1, 1, 1, 1], {"macro_auc", "macro_recall"}, "nothing to tell apart"),
        ([2], {"macro_auc"}, "graded well"),
    ],
)
def test_a_missing_grade_is_null_and_a_sentence(grades: list[int], undefined: set[str], note: str) -> None:
    p = np.tile([0.2, 0.5, 0.3], (len(grades), 1))
    found = summarize(np.array(grades), p, draws=20)
    for name in undefined:
        assert found[name] is None and found[f"{name}_interval95"] is None, name
    for c, name in enumerate(GRADES):
        assert (found["auc"][name] is None) == (c not in grades or set(grades) == {c})
    assert any(note in sentence for sentence in found["notes"])
    assert found["accuracy"] == pytest.approx(np.mean(np.array(grades) == 1))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_missing_grade_leaves_no_mean_even_where_it_is_predicted() -> None:
    """Otherwise its precision and F1 would be 0 instead of undefined and lower the means."""
    found = summarize(np.array([0, 0, 1, 1]), np.eye(3)[[0, 2, 1, 2]], draws=5)
    assert found["confusion"][2] == [0, 0, 0] and found["confusion"][0] == [1, 0, 1]
    assert found["macro_f1"] is found["macro_precision"] is found["macro_recall"] is None


def test_constant_grades_have_no_kappa() -> None:
    found = summarize(np.array([1, 1]), np.array([[0.1, 0.8, 0.1]] * 2), draws=5)
    assert found["quadratic_kappa"] is None and found["accuracy"] == 1
    assert any("kappa" in note for note in found["notes"])


def test_a_grade_never_predicted_has_precision_0_and_is_named() -> None:
    found = summarize(np.array([0, 1, 2]), np.array([[0.6, 0.4, 0.0]] * 3), draws=5)
    assert found["macro_precision"] == pytest.approx(1 / 9)
    assert any("predicted moderate" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("grades", "probabilities", "fault"),
    [
        ([], np.zeros((0, 3)), "at least one case"),
        ([0, 1], np.full((2, 2), 0.5), "(n, 3)"),
        ([0], np.full((2, 3), 1 / 3), "(n, 3)"),
        ([3], np.full((1, 3), 1 / 3), "not 0 (well)"),
        ([-1], np.full((1, 3), 1 / 3), "not 0 (well)"),
        ([0.5], np.full((1, 3), 1 / 3), "not 0 (well)"),
        ([0], np.array([[np.nan, 0.5, 0.5]]), "not a number"),
        ([0], np.array([[-0.5, 1.0, 0.5]]), "negative"),
        ([0], np.array([[2.0, 1.0, 0.5]]), "after the softmax"),
    ],
)
def test_invalid_input_is_refused_in_one_sentence(grades: list, probabilities: np.ndarray, fault: str) -> None:
    with pytest.raises(UsageError) as error:
        summarize(np.array(grades), probabilities)
    assert fault in str(error.value)
