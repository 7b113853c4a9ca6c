"""Net benefit: against hand-worked values, against the package dcurves, and properties of every curve."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from dcurves import dca
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights
from REACTKDTrainLib.evaluation.decision_curve import (
    THRESHOLDS,
    graded_decision_curves,
    net_benefit,
    treat_all,
)
from support.predictions import graded_predictions

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=50)


def test_net_benefit_agrees_with_hand_worked_values() -> None:
    """0.9, 0.3 positive; 0.3, 0.1 negative. At 0.05 all are treated, at 0.3 three (p >= t), at 0.31 and 0.5 one."""
    positive, p = np.array([1, 1, 0, 0]), np.array([0.9, 0.3, 0.3, 0.1])
    got = net_benefit(positive, p, [0.05, 0.3, 0.31, 0.5, 0.95])
    expected = [0.5 - 0.5 * 5 / 95, 0.5 - 0.25 * 3 / 7, 0.25, 0.25, 0.0]
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(treat_all(positive, [0.0, 0.2, 0.5]), [0.5, 0.5 - 0.5 / 4, 0.0])


@settings(deadline=None, max_examples=15)
@given(ROWS)
def test_net_benefit_agrees_with_dcurves(rows: list[tuple[bool, int]]) -> None:
    """Also with probabilities equal to the thresholds: both treat from p = t on."""
    rows = [*rows, (True, 6), (False, 6)]  # dcurves divides by zero if one class is empty
    positive, p = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 20
    thresholds = np.array([0.05, 0.1, 0.25, 0.33, 0.5, 0.75])
    table = dca(pd.DataFrame({"poor": positive.astype(int), "model": p}), "poor", ["model"], thresholds)
    oracle = table.pivot(index="threshold", columns="model", values="net_benefit").loc[thresholds]
    np.testing.assert_allclose(net_benefit(positive, p, thresholds), oracle["model"], atol=1e-12)
    np.testing.assert_allclose(treat_all(positive, thresholds), oracle["all"], atol=1e-12)
    assert (oracle["none"] == 0).all()


def test_poor_versus_rest_agrees_with_dcurves() -> None:
    grades, p = graded_predictions(300)
    q = np.sqrt(p) / np.sqrt(p).sum(axis=1, keepdims=True)
    found = graded_decision_curves(grades, {"raw": p, "softer": q}, draws=50)
    frame = pd.DataFrame({"poor": (grades == 2).astype(int), "raw": p[:, 2], "softer": q[:, 2]})
    oracle = dca(frame, "poor", ["raw", "softer"], THRESHOLDS).pivot(
        index="threshold", columns="model", values="net_benefit"
    )
    for name in ("raw", "softer"):
        np.testing.assert_allclose(found["models"][name]["net_benefit"], oracle[name], atol=1e-12)
    np.testing.assert_allclose(found["treat_all"], oracle["all"], atol=1e-12)
    assert found["thresholds"] == pytest.approx(np.linspace(0.05, 0.5, 46)) and found["cases"] == 300
    assert found["prevalence"] == (grades == 2).mean()
    json.dumps(found, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_no_model_beats_the_truth_and_all_start_at_the_prevalence(rows: list[tuple[bool, int]]) -> None:
    positive, p = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 20
    share = positive.mean()
    assert (net_benefit(positive, p, THRESHOLDS) <= share + 1e-12).all()
    np.testing.assert_allclose(net_benefit(positive, positive.astype(float), THRESHOLDS), share)
    assert net_benefit(positive, p, [0.0])[0] == pytest.approx(share), "at 0 everybody is treated"


def test_treating_all_has_no_benefit_at_the_prevalence() -> None:
    positive = np.array([1, 0, 0, 0, 0])
    assert treat_all(positive, [0.2])[0] == pytest.approx(0)
    assert (treat_all(positive, [0.1, 0.19]) > 0).all() and (treat_all(positive, [0.21, 0.4]) < 0).all()


def test_weighted_curves_are_those_of_the_repeated_cases() -> None:
    grades, p = graded_predictions(40, digits=2)
    weights = np.random.default_rng(0).integers(0, 4, (10, 40))
    curves = net_benefit(grades == 2, p[:, 2], THRESHOLDS, weights)
    for curve, w in zip(curves, weights):
        rows = np.repeat(np.arange(40), w)
        np.testing.assert_allclose(curve, net_benefit(grades[rows] == 2, p[rows, 2], THRESHOLDS), atol=1e-12)


def test_bands_are_percentiles_of_draws_with_the_prevalence_kept() -> None:
    grades, p = graded_predictions(80)
    found = graded_decision_curves(grades, {"a": p}, draws=200, seed=3)["models"]["a"]
    spread = net_benefit(grades == 2, p[:, 2], THRESHOLDS, bootstrap_weights(grades == 2, draws=200, seed=3))
    np.testing.assert_allclose(found["low"], np.percentile(spread, 2.5, axis=0))
    np.testing.assert_allclose(found["high"], np.percentile(spread, 97.5, axis=0))
    everybody = graded_decision_curves(grades, {"all": np.tile([0.0, 0.0, 1.0], (80, 1))}, draws=20)
    np.testing.assert_allclose(everybody["models"]["all"]["low"], everybody["treat_all"], atol=1e-12)


def test_each_grade_has_a_curve_of_its_own() -> None:
    grades, p = graded_predictions(60)
    for grade in range(3):
        found = graded_decision_curves(grades, {"a": p}, grade=grade, draws=5)
        np.testing.assert_allclose(
            found["models"]["a"]["net_benefit"], net_benefit(grades == grade, p[:, grade], THRESHOLDS)
        )
        assert found["prevalence"] == (grades == grade).mean()


@pytest.mark.parametrize(
    ("p", "thresholds", "fault"),
    [
        ([0.5, 1.2], [0.1], "from 0 to 1"),
        ([0.5, 0.2], [1.0], "below 1"),
        ([0.5, 0.2], [-0.1], "below 1"),
        ([0.5, 0.2], 0.1, "below 1"),
        ([0.5], [0.1], "one score for each"),
    ],
)
def test_bad_input_is_one_sentence(p: list[float], thresholds: object, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        net_benefit(np.array([1, 0]), np.array(p), thresholds)
