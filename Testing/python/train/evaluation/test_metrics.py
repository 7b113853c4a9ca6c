"""Measures against scikit-learn, hand-worked values, and what intervals must do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc, weighted_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95, paired_auc_difference
from REACTKDTrainLib.evaluation.calibration import (
    brier,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from REACTKDTrainLib.evaluation.compare import main as compare_runs
from REACTKDTrainLib.evaluation.metrics import summarize


def sample(n: int, seed: int = 0, signal: float = 1.0, digits: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    grades = rng.permutation(np.arange(n) % 3)
    z = rng.normal(size=(n, 3)) + signal * np.eye(3)[grades]
    p = np.round(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), digits)
    return grades, p / p.sum(axis=1, keepdims=True)


@given(st.integers(6, 60), st.integers(0, 1000), st.sampled_from([1, 6]))
@settings(max_examples=40, deadline=None)
def test_auc_is_scikit_learns_with_and_without_ties_and_weights(n: int, seed: int, digits: int) -> None:
    grades, p = sample(n, seed, digits=digits)
    for c in range(3):
        assert class_aucs(grades, p)[c] == pytest.approx(roc_auc_score(grades == c, p[:, c]))
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, n))
    for row in weights:
        w = row[grades == 0].sum(), row[grades != 0].sum()
        got = weighted_aucs(grades == 0, p[:, 0], row[None])[0]
        if min(w) == 0:
            assert np.isnan(got)
        else:
            assert got == pytest.approx(roc_auc_score(grades == 0, p[:, 0], sample_weight=row))


def test_auc_by_hand() -> None:
    # positives 0.8, 0.5; negatives 0.5, 0.3, 0.1: pairs won 3 + 2, one tie: 5.5 of 6
    assert weighted_aucs(np.array([1, 1, 0, 0, 0]) > 0, np.array([0.8, 0.5, 0.5, 0.3, 0.1]), np.ones((1, 5)))[
        0
    ] == pytest.approx(5.5 / 6)


def test_the_bootstrap_draws_patients_within_grades() -> None:
    grades = np.array([0, 0, 1, 1, 1, 2, 2, 2])
    patients = np.array(list("aabcdeff"))
    weights = bootstrap_weights(grades, patients, draws=500)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 6] == weights[:, 7]).all()
    assert (weights[:, 0] == 1).all()  # the only patient of its grade
    assert (weights[:, 2:5].sum(axis=1) == 3).all() and (weights[:, 5] + weights[:, 6] == 2).all()
    assert weights[:, 2].mean() == pytest.approx(1, abs=0.15)
    assert (weights == bootstrap_weights(grades, patients, draws=500)).all()


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = macro_auc(*sample(30000, 99))
    inside = 0
    for seed in range(120):
        grades, p = sample(90, seed)
        low, high = interval95(class_aucs(grades, p, bootstrap_weights(grades, draws=300)).mean(axis=1))
        inside += low <= truth <= high
    assert 0.87 <= inside / 120 <= 1.0


def test_a_paired_difference_is_narrower_than_an_unpaired_one() -> None:
    grades, p = sample(200, 1)
    rng = np.random.default_rng(2)
    worse = p + 0.05 * rng.random(p.shape)
    told = paired_auc_difference(grades, p, worse / worse.sum(axis=1, keepdims=True))
    low, high = told["interval95"]
    alone = interval95(class_aucs(grades, p, bootstrap_weights(grades)).mean(axis=1))
    assert low <= told["difference"] <= high and high - low < 0.5 * (alone[1] - alone[0])
    same = paired_auc_difference(grades, p, p)
    assert same["difference"] == 0 and same["interval95"] == [0, 0]


def test_calibration_by_hand() -> None:
    grades = np.array([0, 1, 2, 0])
    p = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])
    assert brier(grades, p) == pytest.approx((0.14 + 0.86 + 0.06 + 0.015) / 4)
    assert negative_log_likelihood(grades, p) == pytest.approx(-np.log([0.7, 0.3, 0.8, 0.9]).mean())
    told = reliability(grades, p, bins=2)
    assert told["confidence"] == pytest.approx([0.65, 0.85]) and told["accuracy"] == [0.5, 1.0]
    assert expected_calibration_error(grades, p, bins=2) == pytest.approx(0.5 * 0.15 + 0.5 * 0.15)
    assert sum(reliability(grades, p, bins=9)["cases"]) == 4


def test_metrics_are_complete_and_plain_json() -> None:
    grades, p = sample(60)
    told = summarize(grades, p, draws=200)
    json.dumps(told, allow_nan=False)
    wanted = {"accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auc",
              "macro_auc_interval95", "auc", "quadratic_kappa", "brier", "ece"}  # fmt: skip
    assert wanted <= set(told) and told["notes"] == []
    low, high = told["macro_auc_interval95"]
    assert low < told["macro_auc"] < high


def test_a_perfect_and_a_reversed_answer() -> None:
    grades = np.array([0, 1, 2] * 5)
    perfect = summarize(grades, np.eye(3)[grades] * 0.98 + 0.02 / 3, draws=50)
    assert perfect["macro_auc"] == perfect["accuracy"] == perfect["quadratic_kappa"] == 1.0
    swapped = summarize(grades, np.eye(3)[2 - grades], draws=50)
    assert swapped["quadratic_kappa"] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("grades", "note"), [([0, 0, 1, 1], "no case is graded poor"), ([1, 1], "no case is graded well")]
)
def test_an_absent_grade_is_none_with_the_reason(grades: list[int], note: str) -> None:
    p = np.tile([0.2, 0.5, 0.3], (len(grades), 1))
    told = summarize(np.array(grades), p, draws=20)
    json.dumps(told, allow_nan=False)
    assert told["macro_auc"] is None and told["macro_auc_interval95"] is None and note in told["notes"]


@pytest.mark.parametrize(
    ("grades", "p", "sentence"),
    [
        ([], np.zeros((0, 3)), "not"),
        ([0], np.ones((1, 2)) / 2, "probabilities"),
        ([3], np.ones((1, 3)) / 3, "A grade is not"),
        ([0], np.array([[0.5, np.nan, 0.5]]), "numbers of 0 or more"),
        ([0], np.array([[0.5, 0.1, 0.1]]), "sum to 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(grades, p, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        summarize(np.array(grades, dtype=int), p)


def test_two_runs_are_compared_on_their_common_cases(tmp_path, capsys) -> None:
    grades, p = sample(40)
    names = ("well", "moderate", "poor")
    for run, values in (("a", p), ("b", p[:, [1, 2, 0]])):
        (tmp_path / run).mkdir()
        rows = [f"c{n},,student,ct,{names[g]}," + ",".join(map(str, q)) for n, (g, q) in enumerate(zip(grades, values))]
        text = "\n".join(["case,fold,model,inputs,grade,well,moderate,poor", *rows])
        (tmp_path / run / "predictions_external_by_inputs.csv").write_text(text)
    assert compare_runs([str(tmp_path / "a"), str(tmp_path / "b"), "--inputs", "ct"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cases"] == 40 and told["macro_auc"][0] == pytest.approx(macro_auc(grades, p))
    assert told["interval95"][0] > 0
    assert compare_runs([str(tmp_path / "a"), str(tmp_path), "--inputs", "ct"]) == 2
    assert "let it finish" in capsys.readouterr().err
