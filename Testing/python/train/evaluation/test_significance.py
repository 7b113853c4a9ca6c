"""McNemar's test, Holm's adjustment, and all tests of one method against the others."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.delong import delong_of_each_class
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.evaluation.significance import holm, mcnemar, paired_tests, paired_tests_against
from support.predictions import graded_predictions


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (1, 8, 2 * (1 + 9) / 512), (4, 4, 1.0), (2, 3, 1.0)],
)
def test_mcnemar_agrees_with_hand_worked_values(only_a: int, only_b: int, p: float) -> None:
    right_a = np.array([True] * only_a + [False] * only_b + [True, False])
    right_b = np.array([False] * only_a + [True] * only_b + [True, False])
    assert mcnemar(right_a, right_b) == {"only_a": only_a, "only_b": only_b, "p": pytest.approx(p)}


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_mcnemar_is_a_sum_over_the_tail(only_a: int, only_b: int, agree: int) -> None:
    n, k = only_a + only_b, min(only_a, only_b)
    exact = min(Fraction(1), 2 * sum(Fraction(comb(n, i), 2**n) for i in range(k + 1)))
    right_a = np.array([1] * only_a + [0] * only_b + [1] * (agree + 1))
    right_b = np.array([0] * only_a + [1] * only_b + [1] * (agree + 1))
    assert mcnemar(right_a, right_b)["p"] == pytest.approx(float(exact))
    assert mcnemar(right_b, right_a)["p"] == mcnemar(right_a, right_b)["p"]


@pytest.mark.parametrize(
    ("net", "p"),
    [
        ([3], 1.0),  # one patient with three scans decides nothing
        ([2, 1], 2 / 4),
        ([2, 1, 1], 2 / 8),  # sums of 4, 2, 2, 0 and their opposites
        ([2, -1, 1], 6 / 8),
        ([1, 1, 1, 1, 1], 2 / 32),
    ],
)
def test_mcnemar_over_patients_counts_the_exchanges_of_the_models(net: list[int], p: float) -> None:
    """net: for each patient, the scans that only a has right minus those that only b has right; each sum of these
    numbers with free signs is equally probable if the models are equal.
    """
    patients = np.repeat(np.arange(len(net)), np.abs(net))
    right_a = np.repeat(np.array(net) > 0, np.abs(net))
    found = mcnemar(right_a, ~right_a, patients)
    assert found["p"] == pytest.approx(p)
    assert (found["only_a"], found["only_b"]) == (right_a.sum(), (~right_a).sum())


def test_mcnemar_of_repeated_scans_is_that_of_the_patients() -> None:
    right_a, right_b = np.array([1, 1, 1, 1, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    twice = mcnemar(np.tile(right_a, 2), np.tile(right_b, 2), np.tile(np.arange(8), 2))
    assert twice == {"only_a": 12, "only_b": 2, "p": pytest.approx(mcnemar(right_a, right_b)["p"])}


@pytest.mark.parametrize(("a", "b"), [([], []), ([1], [1, 0]), ([2, 1], [0, 1]), ([1, 0], [0.5, 1])])
def test_mcnemar_refuses_values_that_are_not_binary(a: list, b: list) -> None:
    with pytest.raises(UsageError):
        mcnemar(np.array(a), np.array(b))


def test_holm_agrees_with_hand_worked_values() -> None:
    """0.01 * 4, 0.02 * 3, then 0.03 * 2 = 0.06 equals the previous one, and 0.04 * 1 is raised to it."""
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p: list[float]) -> None:
    """A hypothesis is rejected if Bonferroni rejects every group that contains it (Marcus, Peritz, Gabriel 1976)."""
    m = len(p)
    groups = [g for size in range(1, m + 1) for g in combinations(range(m), size)]
    closed = [
        max(min(1.0, len(g) * min(p[i] for i in g)) for g in groups if hypothesis in g) for hypothesis in range(m)
    ]
    np.testing.assert_allclose(holm(p), closed)


@pytest.mark.parametrize("p", [[0.5, np.nan], [1.1], [-0.1], [[0.1]], 0.5])
def test_holm_refuses_values_that_are_not_probabilities(p: object) -> None:
    with pytest.raises(UsageError, match="p-values from 0 to 1"):
        holm(p)


def test_all_tests_of_one_method_against_another() -> None:
    grades, a = graded_predictions(80)
    b = a[:, [0, 2, 1]]
    found = paired_tests(grades, a, b, draws=100)
    right_a, right_b = a.argmax(axis=1) == grades, b.argmax(axis=1) == grades
    assert found["macro_auc"] == paired_auc_difference(grades, a, b, draws=100)
    assert found["auc"] == delong_of_each_class(grades, a, b)
    assert found["accuracy"] == {
        "difference": pytest.approx(right_a.mean() - right_b.mean()),
        **mcnemar(right_a, right_b),
    }


def test_no_test_takes_scans_of_one_patient_for_patients() -> None:
    grades, a = graded_predictions(60)
    b = a[:, [0, 2, 1]]
    once = paired_tests(grades, a, b, draws=100)
    patients = np.tile(np.arange(60), 2)
    twice = paired_tests(np.tile(grades, 2), np.tile(a, (2, 1)), np.tile(b, (2, 1)), patients, draws=100)
    assert twice["macro_auc"]["p"] == once["macro_auc"]["p"]
    assert twice["accuracy"]["p"] == pytest.approx(once["accuracy"]["p"])
    for name, own in twice["auc"].items():
        assert own["p"] == pytest.approx(once["auc"][name]["p"])


def test_against_several_p_is_adjusted_over_all() -> None:
    grades, a = graded_predictions(80)
    others = {"same": a, "turned": a[:, [0, 2, 1]], "worse": a[:, [1, 2, 0]]}
    found = paired_tests_against(grades, a, others, draws=200)
    for measure in ("macro_auc", "accuracy"):
        adjusted = holm([found[name][measure]["p"] for name in others])
        assert [found[name][measure]["p_holm"] for name in others] == adjusted.tolist()
    assert found["same"]["macro_auc"]["p_holm"] == 1 and found["worse"]["macro_auc"]["p_holm"] < 0.05
    json.dumps(found, allow_nan=False)


def test_without_a_grade_there_is_nothing_to_adjust() -> None:
    grades, p = np.array([0, 0, 1, 1]), np.full((4, 3), 1 / 3)
    found = paired_tests_against(grades, p, {"same": p}, draws=10)["same"]
    assert found["macro_auc"]["p"] is None and "p_holm" not in found["macro_auc"]
    assert found["accuracy"]["p_holm"] == 1
