"""The stratified bootstrap: patients are resampled within their grade, as weights."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, crossed_weights, interval95
from REACTKDTrainLib.evaluation.metrics import summarize
from support.predictions import graded_predictions

CASES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdef")), min_size=1, max_size=30)


@settings(deadline=None, max_examples=150)
@given(CASES)
def test_every_draw_has_whole_patients_and_every_grade(cases: list[tuple[int, str]]) -> None:
    """Also where patients have cases of several grades."""
    grades, patients = (np.array(column) for column in zip(*cases))
    weights = bootstrap_weights(grades, patients, draws=20)
    _, first = np.unique(patients, return_index=True)
    for name in patients:
        assert (np.ptp(weights[:, patients == name], axis=1) == 0).all(), "a patient came in parts"
    assert (weights[:, first].sum(axis=1) == len(first)).all(), "as many patients as there are"
    for grade in np.unique(grades):
        assert (weights[:, grades == grade].sum(axis=1) > 0).all(), "a grade is missing from a draw"


def test_the_share_of_each_grade_stays() -> None:
    grades, _ = graded_predictions(97)
    weights = bootstrap_weights(grades, draws=500)
    for grade in range(3):
        assert (weights[:, grades == grade].sum(axis=1) == (grades == grade).sum()).all()


def test_counts_vary_as_drawing_with_replacement_does() -> None:
    """Each count is binomial (m, 1/m): mean 1, variance 1 - 1/m."""
    weights = bootstrap_weights(np.zeros(25, dtype=int), draws=20000)
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1 - 1 / 25, abs=0.01)


def test_a_negative_seed_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="seed of a bootstrap is -1; give 0 or more"):
        bootstrap_weights(np.zeros(5, dtype=int), draws=20, seed=-1)


def test_the_same_seed_gives_the_same_draws_and_another_does_not() -> None:
    grades, _ = graded_predictions(40)
    np.testing.assert_array_equal(bootstrap_weights(grades, seed=3), bootstrap_weights(grades, seed=3))
    assert (bootstrap_weights(grades, seed=3) != bootstrap_weights(grades, seed=4)).any()


def test_names_of_patients_do_not_matter_only_who_shares_one() -> None:
    grades = np.array([0, 0, 1, 1, 2, 2])
    each = bootstrap_weights(grades, draws=50)
    np.testing.assert_array_equal(bootstrap_weights(grades, np.array(list("abcdef")), draws=50), each)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    ours = interval95(bootstrap_weights(np.zeros(60), draws=20000) @ values / 60)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, rtol=0.02)


def test_an_interval_without_numbers_is_undefined() -> None:
    assert interval95(np.array([])) is None
    assert interval95(np.array([0.1, np.nan])) is None
    assert interval95(np.arange(101)) == [2.5, 97.5]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [({"draws": 0}, "one draw"), ({"patients": np.array(["a"])}, "one patient for each")],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        bootstrap_weights(np.array([0, 1]), **arguments)


def test_two_thousand_draws_of_two_thousand_cases_take_seconds() -> None:
    grades, p = graded_predictions(2000)
    start = time.process_time()
    summarize(grades, p, draws=2000)
    assert time.process_time() - start < 5


def test_drawn_lesions_and_scans_are_resampled_together():
    grades = np.array([0, 1, 1, 2] * 5)
    weights = crossed_weights(grades, 3, draws=400, seed=1)
    assert weights.shape == (400, 3, 20)
    of_scan, of_patient = weights.sum(axis=2), weights.sum(axis=1)
    assert (of_scan.sum(axis=1) == 60).all() and of_scan.std() > 10  # 3 scans, 20 patients each
    assert all((of_patient[:, grades == g].sum(axis=1) == 3 * (grades == g).sum()).all() for g in range(3))
    others = crossed_weights(grades, 3, draws=400, seed=1, scan_seed=1)
    np.testing.assert_array_equal(others.sum(axis=1), weights.sum(axis=1), "the same patients")
    scans, other_scans = weights.sum(axis=2)[:, 0], others.sum(axis=2)[:, 0]
    assert abs(np.corrcoef(scans, other_scans)[0, 1]) < 0.2, "other scans, drawn independently"
    alone = crossed_weights(grades, 1, draws=400, seed=1)
    assert np.array_equal(alone[:, 0], bootstrap_weights(grades, None, 400, 1))
    assert np.array_equal(alone[:, 0] * 3, of_patient)  # the same patients in every scan
    with pytest.raises(UsageError, match="at least one of them"):
        crossed_weights(grades, 0)
