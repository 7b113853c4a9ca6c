"""Bins, reliability curves, calibration error and the decomposition of the Brier score."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.calibration import (
    bin_means,
    calibration_error,
    equal_mass_bins,
    expected_calibration_error,
    reliability_curve,
    top_label,
)
from REACTKDTrainLib.evaluation.measures import brier_of_each, nll_of_each
from support.predictions import graded_predictions

# Top labels: 0.6 (wrong), 0.7, 0.8 and 0.9 (right).
HAND_GRADES = np.array([0, 1, 2, 0])
HAND = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])


def test_scores_agree_with_hand_worked_values() -> None:
    assert brier_of_each(HAND_GRADES, HAND).mean() == pytest.approx((0.14 + 0.86 + 0.06 + 0.015) / 4)
    assert nll_of_each(HAND_GRADES, HAND) == pytest.approx(-np.log([0.7, 0.3, 0.8, 0.9]))
    assert nll_of_each(np.array([0]), np.array([[0.0, 1.0, 0.0]])) == pytest.approx([-np.log(1e-12)])


def test_bins_agree_with_hand_worked_values() -> None:
    assert equal_mass_bins(np.array([0.5, 0.1, 0.9, 0.2, 0.3]), 2).tolist() == [1, 0, 1, 0, 1]
    assert equal_mass_bins(np.array([0.1, 0.5, 0.5, 0.5]), 4).tolist() == [0, 2, 2, 2]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60, unique=True), st.integers(1, 12))
def test_bins_without_ties_ascend_and_differ_by_one(values: list[float], bins: int) -> None:
    bin_of = equal_mass_bins(np.array(values), bins)
    assert (np.diff(bin_of[np.argsort(values)]) >= 0).all() and bin_of.min() >= 0 and bin_of.max() < bins
    assert np.ptp(np.bincount(bin_of, minlength=bins)) <= 1


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([0.4, 0.5, 0.6, 0.9]), min_size=1, max_size=40), st.integers(1, 7))
def test_equal_values_share_a_bin_whatever_their_order(values: list[float], bins: int) -> None:
    ascending = np.sort(values)
    bin_of = equal_mass_bins(ascending, bins)
    assert all(len(set(bin_of[ascending == v])) == 1 for v in values)
    np.testing.assert_array_equal(equal_mass_bins(ascending[::-1], bins), bin_of[::-1])


def test_means_of_bins_that_hold_a_case() -> None:
    count, mean = bin_means(np.array([4, 0, 4, 2]), np.array([1.0, 5.0, 2.0, 7.0]))
    assert count.tolist() == [1, 1, 2] and mean.tolist() == [5, 7, 1.5]


def test_reliability_agrees_with_hand_worked_values() -> None:
    found = reliability_curve(*top_label(HAND_GRADES, HAND), bins=2)
    assert found["stated"] == pytest.approx([0.65, 0.85])
    assert found["observed"] == [0.5, 1.0] and found["cases"] == [2, 2]
    # Wilson, one of two: (1/2 + z^2/4 +- z sqrt(1/8 + z^2/16)) / (1 + z^2/2), z = 1.96
    assert found["interval95"][0] == pytest.approx([0.09453, 0.90547], abs=1e-5)
    assert found["interval95"][1] == pytest.approx([0.34238, 1.0], abs=1e-5)
    assert expected_calibration_error(HAND_GRADES, HAND, bins=2) == pytest.approx(0.15)
    assert expected_calibration_error(HAND_GRADES, HAND, bins=1) == pytest.approx(0, abs=1e-12)
    assert sum(reliability_curve(*top_label(HAND_GRADES, HAND), bins=9)["cases"]) == 4
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_the_curve_is_that_of_scikit_learn_where_its_bins_are_the_same(bins: int) -> None:
    """Quantiles of a multiple of `bins` cases fall between two cases, so both make the same bins."""
    grades, p = graded_predictions(20 * bins)
    observed, stated = calibration_curve(grades == 1, p[:, 1], n_bins=bins, strategy="quantile")
    found = reliability_curve(grades == 1, p[:, 1], bins)
    np.testing.assert_allclose(found["stated"], stated)
    np.testing.assert_allclose(found["observed"], observed)


@settings(deadline=None, max_examples=40)
@given(st.integers(3, 60), st.integers(0, 1000), st.sampled_from([1, None]), st.randoms(use_true_random=False))
def test_error_is_bounded_and_without_order(n: int, seed: int, digits: int | None, random) -> None:
    grades, p = graded_predictions(n, seed=seed, digits=digits)
    order = list(range(n))
    random.shuffle(order)
    error = expected_calibration_error(grades, p)
    assert 0 <= error <= 1
    assert expected_calibration_error(grades[order], p[order]) == pytest.approx(error)
    one_bin = abs((p.argmax(axis=1) == grades).mean() - p.max(axis=1).mean())
    assert error >= one_bin - 1e-12, "bins can only add up what one bin cancels"


def test_calibrated_probabilities_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 20000)
    grades = (rng.random(20000)[:, None] > p.cumsum(axis=1)).sum(axis=1)
    assert expected_calibration_error(grades, p) < 0.012
    sure = np.eye(3)[p.argmax(axis=1)]
    assert expected_calibration_error(grades, sure) == pytest.approx(1 - (p.argmax(axis=1) == grades).mean())


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 60), st.integers(0, 1000))
def test_brier_is_the_sum_of_each_class(n: int, seed: int) -> None:
    grades, p = graded_predictions(n, seed=seed)
    each = [sk.brier_score_loss(grades == c, p[:, c]) for c in range(3)]
    assert brier_of_each(grades, p).mean() == pytest.approx(sum(each))


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="at least one bin"):
        calibration_error(np.array([True]), np.array([0.5]), bins=0)
    with pytest.raises(UsageError, match="one score for each"):
        reliability_curve(np.array([True]), np.array([0.5, 0.1]))
