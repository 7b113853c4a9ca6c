"""Recalibration: the right answer where it is known, the best of its kind, never fitted on whom it is applied to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.calibration import expected_calibration_error
from REACTKDTrainLib.evaluation.proper_scores import negative_log_likelihood
from REACTKDTrainLib.evaluation.recalibration import METHODS, PRIOR, Recalibration, cross_fitted, fit_recalibration
from support.predictions import graded_predictions


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def calibrated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, 3), and grades drawn from their softmax."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * 1.5
    return (rng.random(n)[:, None] > softmax(z).cumsum(axis=1)).sum(axis=1), z


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    """Answers sharpened by 1 / T are right again at T; 8,000 cases leave about 2 % of doubt."""
    grades, z = calibrated(8000)
    found = fit_recalibration(grades, softmax(z / temperature))
    np.testing.assert_allclose(found.scale, temperature, rtol=0.06)
    assert (found.shift == 0).all() and np.ptp(found.scale) == 0


def test_a_known_scale_and_shift_are_found() -> None:
    """Vector scaling of ln p: p of softmax(scale * ln q + shift), with shifts known up to a constant."""
    scale, shift, rng = np.array([0.5, 1.5, 1.0]), np.array([0.5, -0.5, 0.0]), np.random.default_rng(0)
    q = rng.dirichlet(np.ones(3), 30000)
    truth = softmax(scale * np.log(q) + shift)
    grades = (rng.random(30000)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    found = fit_recalibration(grades, q, "vector")
    np.testing.assert_allclose(found.scale, scale, atol=0.05)
    np.testing.assert_allclose(found.shift - found.shift.mean(), shift - shift.mean(), atol=0.05)
    np.testing.assert_allclose(found(q), truth, atol=0.02)


@settings(deadline=None, max_examples=20)
@given(st.integers(12, 80), st.integers(0, 1000))
def test_no_other_temperature_fits_better(n: int, seed: int) -> None:
    grades, p = graded_predictions(n, skill=0.8, seed=seed)
    best = negative_log_likelihood(grades, fit_recalibration(grades, p)(p))
    for t in np.geomspace(1 / 20, 20, 60):
        other = softmax(np.log(p) / t)
        assert best <= negative_log_likelihood(grades, other) + 1e-9


def test_no_other_vector_fits_better() -> None:
    """At the minimum of likelihood and prior, steps in each direction cost."""
    grades, p = graded_predictions(60, skill=0.8)
    found = fit_recalibration(grades, p, "vector")

    def cost(scale: np.ndarray, shift: np.ndarray) -> float:
        prior = PRIOR / 2 * (np.square(scale - 1).sum() + np.square(shift).sum())
        return 60 * negative_log_likelihood(grades, Recalibration(scale, shift)(p)) + prior

    for step in 1e-2 * np.concatenate([np.eye(6), -np.eye(6)]):
        assert cost(found.scale + step[:3], found.shift + step[3:]) > cost(found.scale, found.shift)


def test_a_temperature_keeps_the_order_within_each_case_and_rows_sum_to_1() -> None:
    grades, p = graded_predictions(40)
    q = fit_recalibration(grades, p)(p)
    np.testing.assert_array_equal(q.argsort(axis=1), p.argsort(axis=1))
    np.testing.assert_allclose(q.sum(axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_what_separates_perfectly_still_has_a_finite_answer(method: str) -> None:
    grades = np.array([0, 1, 2] * 6)
    q = fit_recalibration(grades, np.eye(3)[grades], method)(np.eye(3)[grades])
    assert np.isfinite(q).all() and (q.argmax(axis=1) == grades).all()


@pytest.mark.parametrize("method", METHODS)
def test_cross_fitting_mends_overconfidence_and_keeps_the_ranks_nearly(method: str) -> None:
    grades, z = calibrated(600)
    p = softmax(3 * z)
    q = cross_fitted(grades, p, method=method)
    assert expected_calibration_error(grades, q) < 0.4 * expected_calibration_error(grades, p)
    assert negative_log_likelihood(grades, q) < negative_log_likelihood(grades, p)
    np.testing.assert_allclose(class_aucs(grades, q), class_aucs(grades, p), atol=0.03)


def inverse_temperatures(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(n,): what ln p of each case was multiplied with."""
    return np.log(after[:, 0] / after[:, 1]) / np.log(before[:, 0] / before[:, 1])


def test_no_patient_is_fitted_on_himself() -> None:
    """Change what is said of one patient: the map that he gets stays, and other folds' maps move."""
    grades, p = graded_predictions(60, skill=0.8)
    patients = np.arange(60) // 2
    grades = grades[patients * 2]  # both cases of a patient have one grade
    changed = p.copy()
    changed[patients == 7] = changed[patients == 7][:, [1, 2, 0]]
    one = inverse_temperatures(p, cross_fitted(grades, p, patients))
    other = inverse_temperatures(changed, cross_fitted(grades, changed, patients))
    own = np.isclose(one, one[patients == 7][0], rtol=1e-6)  # the fold of patient 7
    np.testing.assert_allclose(other[own], one[own], rtol=1e-6)
    assert (np.abs(other[~own] - one[~own]) > 1e-3).all()
    assert 2 <= own.sum() <= 30 and all(np.ptp(one[patients == k]) < 1e-6 for k in range(30))


def test_a_grade_of_few_patients_makes_fewer_folds() -> None:
    grades, p = np.array([0, 0, 1, 1, 1, 1, 2, 2, 2]), graded_predictions(9)[1]
    q = cross_fitted(grades, p)
    assert np.isfinite(q).all() and len(np.unique(np.round(inverse_temperatures(p, q), 6))) <= 2


def test_the_same_seed_gives_the_same_folds() -> None:
    grades, p = graded_predictions(40)
    np.testing.assert_array_equal(cross_fitted(grades, p), cross_fitted(grades, p))


def test_bad_input_is_one_sentence() -> None:
    grades, p = np.array([0, 0, 1]), np.full((3, 3), 1 / 3)
    with pytest.raises(UsageError, match="two patients of each grade"):
        cross_fitted(grades, p)
    with pytest.raises(UsageError, match="two patients of each grade"):
        cross_fitted(np.array([0, 0, 1, 1]), np.full((4, 3), 1 / 3), np.array(["a", "b", "c", "c"]))
    with pytest.raises(UsageError, match="temperature, vector"):
        fit_recalibration(grades, p, "isotonic")
