"""ROC curves on a grid, against scikit-learn's curves, and their bands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights
from REACTKDTrainLib.evaluation.roc import GRID, roc_curves, true_positive_rates
from support.predictions import graded_predictions


def test_curves_agree_with_hand_worked_values() -> None:
    """Scores 4 (positive), 3 (one of each), 2 (negative): up to 1/2, a diagonal to (1/2, 1), then horizontal."""
    got = true_positive_rates([1, 1, 0, 0], [4.0, 3.0, 3.0, 2.0], grid=np.array([0, 0.25, 0.5, 1]))
    assert got.tolist() == [0.5, 0.75, 1, 1]


@settings(deadline=None, max_examples=60)
@given(st.integers(4, 60), st.integers(0, 1000), st.sampled_from([1, None]))
def test_curves_agree_with_scikit_learn(n: int, seed: int, digits: int | None) -> None:
    grades, p = graded_predictions(n, seed=seed, digits=digits)
    false, found, _ = roc_curve(grades == 1, p[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(true_positive_rates(grades == 1, p[:, 1]), np.interp(GRID, false, found), atol=1e-9)


def test_each_draw_is_the_curve_of_its_repeated_cases() -> None:
    grades, p = graded_predictions(40, digits=1)
    weights = bootstrap_weights(grades, draws=20)
    curves = true_positive_rates(grades == 0, p[:, 0], weights)
    for curve, w in zip(curves, weights):
        rows = np.repeat(np.arange(40), w)
        np.testing.assert_allclose(curve, true_positive_rates(grades[rows] == 0, p[rows, 0]), atol=1e-9)


def test_curves_rise_within_their_band_and_enclose_the_auc() -> None:
    grades, p = graded_predictions(200)
    result = roc_curves(grades, p, draws=200)
    for c, curve in enumerate(result.values()):
        low, rate, high = (np.array(curve[name]) for name in ("low", "true_positive_rate", "high"))
        assert (np.diff(rate) >= 0).all() and rate[-1] == 1
        assert (low <= rate + 1e-12).mean() > 0.98 and (rate <= high + 1e-12).mean() > 0.98
        assert (rate[1:] + rate[:-1]).mean() / 2 == pytest.approx(class_aucs(grades, p)[c], abs=0.01)
    json.dumps(result, allow_nan=False)


def test_an_absent_class_has_no_curve() -> None:
    result = roc_curves(np.array([0, 0, 1, 1]), graded_predictions(4)[1], draws=5)
    assert result["poor"] is None and result["well"] is not None
    assert set(roc_curves(np.array([2]), np.array([[0.2, 0.3, 0.5]]), draws=5).values()) == {None}
