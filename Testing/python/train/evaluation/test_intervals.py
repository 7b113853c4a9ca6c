"""Paired differences of macro AUC: against a plain loop, and the required properties of the intervals."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc, macro_auc_influence
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.intervals import (
    _error_of_mean,
    auc_difference_over_runs,
    bootstrap_p,
    paired_auc_difference,
    share_in_common,
)
from support.predictions import graded_predictions


def blurred(probabilities: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Mix the probabilities with uninformative ones."""
    noise = np.random.default_rng(seed).dirichlet(np.ones(3), len(probabilities))
    return (1 - share) * probabilities + share * noise


def macro_of_sklearn(grades: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean([roc_auc_score(grades == c, p[:, c]) for c in range(3)]))


def test_the_difference_agrees_with_a_plain_loop_over_resampled_rows() -> None:
    grades, a = graded_predictions(45, digits=1)
    b = blurred(a, 0.5)
    spread = []
    for w in bootstrap_weights(grades, draws=60, seed=5):
        rows = np.repeat(np.arange(45), w)
        spread.append(macro_of_sklearn(grades[rows], a[rows]) - macro_of_sklearn(grades[rows], b[rows]))
    found = paired_auc_difference(grades, a, b, draws=60, seed=5)
    assert found["difference"] == pytest.approx(macro_of_sklearn(grades, a) - macro_of_sklearn(grades, b))
    assert found["interval95"] == pytest.approx(np.percentile(spread, (2.5, 97.5)).tolist())
    assert found["share_of_draws_above_0"] == np.mean(np.array(spread) > 0)


def test_exchanging_the_models_changes_the_sign() -> None:
    grades, a = graded_predictions(60)
    b = blurred(a, 0.3)
    one, other = paired_auc_difference(grades, a, b), paired_auc_difference(grades, b, a)
    assert other["difference"] == -one["difference"] and other["p"] == one["p"]
    assert other["interval95"] == pytest.approx([-v for v in one["interval95"][::-1]])


def test_models_that_rank_alike_do_not_differ() -> None:
    grades, a = graded_predictions(60)
    found = paired_auc_difference(grades, a, a)
    assert (found["difference"], found["interval95"], found["p"]) == (0, [0, 0], 1)


def test_pairing_removes_shared_variance() -> None:
    grades, a = graded_predictions(200)
    low, high = paired_auc_difference(grades, a, blurred(a, 0.1))["interval95"]
    alone = interval95(class_aucs(grades, a, bootstrap_weights(grades)).mean(axis=1))
    assert high - low < 0.5 * (alone[1] - alone[0])


def test_the_interval_of_an_auc_has_about_its_nominal_coverage() -> None:
    """Percentile intervals of 90 patients: nominally 95 %, here over 150 samples (0.95 +- 0.018)."""
    truth, inside = macro_auc(*graded_predictions(30000, skill=1, seed=999)), 0
    for seed in range(150):
        grades, p = graded_predictions(90, skill=1, seed=seed)
        low, high = interval95(class_aucs(grades, p, bootstrap_weights(grades, draws=400)).mean(axis=1))
        inside += low <= truth <= high
    assert 0.88 <= inside / 150 <= 0.99


def test_p_agrees_with_the_interval() -> None:
    assert bootstrap_p(np.arange(1, 1000)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.concatenate([-np.ones(50), np.ones(949)])) == pytest.approx(2 * 51 / 1000)
    assert bootstrap_p(np.zeros(10)) == 1
    assert bootstrap_p(np.array([])) is None and bootstrap_p(np.array([1, np.nan])) is None
    for shift in (1.8, 1.9, 2.0, 2.1):
        draws = np.random.default_rng(0).normal(size=4000) + shift
        low, _ = interval95(draws)
        assert (bootstrap_p(draws) < 0.05) == (low > 0)


def test_one_run_is_the_paired_difference() -> None:
    grades, a = graded_predictions(50)
    b = blurred(a, 0.4)
    one, runs = paired_auc_difference(grades, a, b), auc_difference_over_runs(grades, a[None], b[None])
    for name in ("difference", "interval95", "p", "cases", "draws"):
        assert runs[name] == one[name], name
    assert runs["of_each_run"] == [one["difference"]] and runs["standard_error_runs"] is None


def test_equal_runs_have_only_the_variance_of_cases() -> None:
    grades, a = graded_predictions(97)
    b = blurred(a, 0.4)
    one = auc_difference_over_runs(grades, a[None], b[None])
    runs = auc_difference_over_runs(grades, np.stack([a] * 4), np.stack([b] * 4))
    assert runs["standard_error_runs"] == 0
    assert runs["standard_error_cases"] == pytest.approx(one["standard_error_cases"])
    reach = student.ppf(0.975, 96) * runs["standard_error_cases"]
    assert runs["interval95"] == pytest.approx([runs["difference"] - reach, runs["difference"] + reach])
    assert runs["interval95"] == pytest.approx(one["interval95"], abs=0.006)  # percentile interval


@pytest.mark.parametrize("of_patient", [1, 3])
def test_the_error_over_cases_is_that_of_the_bootstrap(of_patient: int) -> None:
    """To first order: 4,000 draws give a standard error to 1.1 %, and the bootstrap lacks the factor k / (k - 1)."""
    grades, a = graded_predictions(300, skill=1)
    b = np.stack([blurred(a, 0.3, seed) for seed in range(3)])
    patients = np.argsort(np.argsort(grades, kind="stable")) // of_patient  # one grade per patient, except for two
    weights = bootstrap_weights(grades, patients, 4000)
    drawn = class_aucs(grades, a, weights).mean(1) - np.mean([class_aucs(grades, q, weights).mean(1) for q in b], 0)
    found = auc_difference_over_runs(grades, np.stack([a] * 3), b, patients)
    assert found["standard_error_cases"] == pytest.approx(drawn.std(), rel=0.06)


def test_influences_add_up_to_what_leaving_a_case_out_does() -> None:
    """The jackknife: the influence is the derivative with respect to a case's weight, to first order."""
    grades, p = graded_predictions(120, skill=1)
    influence = macro_auc_influence(grades, p)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    weights = np.ones((2, 120))
    for case in (0, 40, 119):
        weights[0, case], weights[1, case] = 1 + 1e-5, 1 - 1e-5
        up, down = class_aucs(grades, p, weights).mean(axis=1)
        assert influence[case] == pytest.approx((up - down) / 2e-5, abs=1e-6)
        weights[:, case] = 1


def test_runs_that_never_differ_have_p_1() -> None:
    grades, a = graded_predictions(50)
    found = auc_difference_over_runs(grades, np.stack([a] * 3), np.stack([a] * 3))
    assert (found["difference"], found["interval95"], found["p"]) == (0, [0, 0], 1)


def test_runs_that_disagree_widen_the_interval_by_their_few_degrees_of_freedom() -> None:
    """By hand: the variances of the two means added, Satterthwaite's degrees of freedom, Student's quantile."""
    grades, a = graded_predictions(300)
    b = np.stack([blurred(a, share) for share in (0.0, 0.2, 0.5, 0.8)])
    found = auc_difference_over_runs(grades, np.stack([a] * 4), b)
    each = [macro_auc(grades, a) - macro_auc(grades, q) for q in b]
    of_runs, of_cases = np.std(each, ddof=1) / 2, found["standard_error_cases"]
    assert found["of_each_run"] == pytest.approx(each) and found["difference"] == pytest.approx(np.mean(each))
    assert found["standard_error_runs"] == pytest.approx(of_runs) and of_runs > 3 * of_cases
    freedom = (of_runs**2 + of_cases**2) ** 2 / (of_runs**4 / 3 + of_cases**4 / 299)
    error = np.hypot(of_runs, of_cases)
    reach = student.ppf(0.975, freedom) * error
    assert found["interval95"] == pytest.approx([np.mean(each) - reach, np.mean(each) + reach])
    assert found["p"] == pytest.approx(2 * student.sf(np.mean(each) / error, freedom))
    turned = auc_difference_over_runs(grades, np.stack([a] * 4), b[[2, 0, 3, 1]])
    assert turned["interval95"] == pytest.approx(found["interval95"])


def test_cases_of_one_patient_are_drawn_together_over_runs_too() -> None:
    grades, a = graded_predictions(60)
    b, four = np.stack([blurred(a, 0.4, seed) for seed in range(3)]), np.tile(np.arange(60), 4)
    single = auc_difference_over_runs(grades, np.stack([a] * 3), b)
    known = auc_difference_over_runs(grades[four], np.stack([a[four]] * 3), b[:, four], patients=four)
    for name in ("difference", "interval95", "p", "standard_error_cases"):
        assert known[name] == pytest.approx(single[name]), name


def test_the_interval_over_runs_covers_another_subset_and_other_cases() -> None:
    """Random runs and cases, two equal models: the interval over four runs contains 0 about as often as stated."""

    def world(seed: int, runs: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        grades = np.arange(n) % 3
        shared, truth = rng.normal(size=(n, 3)), np.eye(3)[grades]
        z = [
            [shared + truth * (1 + 0.25 * rng.normal()) + 0.5 * rng.normal(size=(n, 3)) for _ in range(runs)]
            for _ in "ab"
        ]
        p = np.exp(z)
        return grades, *(p / p.sum(axis=-1, keepdims=True))

    inside = 0
    for seed in range(80):
        low, high = auc_difference_over_runs(*world(seed, 4, 60), draws=200)["interval95"]
        inside += low <= 0 <= high
    assert inside / 80 >= 0.88  # nominally 0.95 +- 0.024


def test_seeds_of_one_subset_count_as_one_run() -> None:
    grades, a = graded_predictions(300)
    b = np.stack([blurred(a, share) for share in (0.0, 0.1, 0.5, 0.6)])
    found = auc_difference_over_runs(grades, np.stack([a] * 4), b, subsets=[4, 4, 7, 7])
    first, second = np.array(found["of_each_run"]).reshape(2, 2).mean(axis=1)
    assert found["difference"] == pytest.approx((first + second) / 2)
    assert found["standard_error_runs"] == pytest.approx(abs(first - second) / 2)  # of the mean of two
    assert found["subsets"] == 2 and found["runs"] == 4
    one = auc_difference_over_runs(grades, np.stack([a] * 4), b, subsets=[0, 0, 0, 0])
    assert one["standard_error_runs"] is None and one["difference"] == pytest.approx(found["difference"])


def test_a_subset_with_more_seeds_weighs_no_more() -> None:
    grades, a = graded_predictions(300)
    b = np.stack([blurred(a, share) for share in (0.0, 0.1, 0.5)])
    found = auc_difference_over_runs(grades, np.stack([a] * 3), b, subsets=[0, 0, 1])
    x, y, z = found["of_each_run"]
    assert found["difference"] == pytest.approx(((x + y) / 2 + z) / 2)
    again = auc_difference_over_runs(grades, np.stack([a] * 2), b[[0, 2]])
    assert found["standard_error_cases"] == pytest.approx(again["standard_error_cases"], rel=0.2)


def test_patients_in_common_widen_the_interval() -> None:
    """By hand: 3 subsets that share half of their patients, s^2 (1 + 2 / 2) / (3 / 2), against s^2 / 3."""
    grades, a = graded_predictions(300)
    b = np.stack([blurred(a, share) for share in (0.0, 0.3, 0.6)])
    apart, folds = (auc_difference_over_runs(grades, np.stack([a] * 3), b, shared=s) for s in (0.0, 0.5))
    assert folds["standard_error_runs"] == pytest.approx(2 * apart["standard_error_runs"])
    assert folds["standard_error_cases"] == apart["standard_error_cases"] and folds["difference"] == apart["difference"]
    same = auc_difference_over_runs(grades, np.stack([a] * 3), b, shared=1.0)
    assert same["standard_error_runs"] is None and same["interval95"]
    for share in (-0.1, 1.1):
        with pytest.raises(UsageError, match="from 0 to 1"):
            auc_difference_over_runs(grades, a[None], b[:1], shared=share)
    with pytest.raises(UsageError, match="named for each of 3"):
        auc_difference_over_runs(grades, np.stack([a] * 3), b, subsets=[0, 1])


def test_the_share_in_common_is_that_of_pairs() -> None:
    assert share_in_common([{1, 2}, {2, 3}, {4, 5}]) == pytest.approx(1 / 6)
    assert share_in_common([range(0, 66), range(33, 99), [*range(0, 33), *range(66, 99)]]) == 0.5  # three folds
    assert share_in_common([{1, 2}]) == 0 and share_in_common([{1}, {1}]) == 1


def test_the_interval_covers_the_mean_over_all_patients_when_subsets_overlap() -> None:
    """Model effects are additive over patients, and subsets of 60 are drawn from 100.

    Without the correction the interval would contain the truth far less often than stated.
    """
    inside = {False: 0, True: 0}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        pool = rng.normal(size=100)
        subsets = [rng.choice(100, 60, replace=False) for _ in range(8)]
        values = np.array([pool[chosen].mean() for chosen in subsets])
        for corrected in inside:
            error = _error_of_mean(values, 0.6 if corrected else 0.0)
            inside[corrected] += abs(values.mean()) <= student.ppf(0.975, 7) * error
    assert inside[True] / 400 >= 0.92 and inside[False] / 400 < 0.75


def test_one_patient_of_all_grades_has_only_the_variance_of_runs() -> None:
    grades, a = graded_predictions(12)
    b = np.stack([blurred(a, 0.5, seed) for seed in range(3)])
    found = auc_difference_over_runs(grades, np.stack([a] * 3), b, patients=np.zeros(12), draws=20)
    assert found["standard_error_cases"] == pytest.approx(0, abs=1e-12)
    reach = student.ppf(0.975, 2) * found["standard_error_runs"]
    assert found["interval95"] == pytest.approx([found["difference"] - reach, found["difference"] + reach])


def test_a_missing_grade_gives_no_difference() -> None:
    grades, p = np.array([0, 0, 1, 1]), np.full((4, 3), 1 / 3)
    found = auc_difference_over_runs(grades, p[None], p[None], draws=10)
    assert found["difference"] is found["interval95"] is found["p"] is found["standard_error_cases"] is None
    assert found["of_each_run"] == [None]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((2, 4, 3), (3, 4, 3)), ((0, 4, 3), (0, 4, 3))])
def test_runs_must_fit(shapes: tuple) -> None:
    a, b = (np.full(shape, 1 / 3) for shape in shapes)
    with pytest.raises(UsageError, match="two alike"):
        auc_difference_over_runs(np.array([0, 1, 2, 0]), a, b)


def test_other_cases_are_refused() -> None:
    grades, p = graded_predictions(6)
    with pytest.raises(UsageError):
        paired_auc_difference(grades, p, p[:5])


def test_five_runs_on_two_thousand_cases_take_seconds() -> None:
    grades, a = graded_predictions(2000)
    b = blurred(a, 0.1)
    start = time.process_time()
    auc_difference_over_runs(grades, np.stack([a] * 5), np.stack([b] * 5))
    assert time.process_time() - start < 8
