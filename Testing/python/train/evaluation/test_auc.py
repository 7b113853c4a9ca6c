"""Areas under weighted ROC curves: against hand-worked values, against pair counting and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc, weighted_aucs
from support.predictions import graded_predictions

SCORED = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.integers(0, 4)), min_size=2, max_size=40
)  # positive, score with many ties, weight


def test_areas_agree_with_hand_worked_values() -> None:
    """Positives 3, 2; negatives 1, 2: of four pairs, three are won and one is tied."""
    positive, score = np.array([True, True, False, False]), np.array([3.0, 2.0, 1.0, 2.0])
    assert weighted_aucs(positive, score, np.ones((1, 4))) == [3.5 / 4]
    # The tied positive with weight 2, the tied negative with weight 3: of twelve, 1 + 3 + 2 are won and 6 are tied.
    assert weighted_aucs(positive, score, np.array([[1, 2, 1, 3]])) == [(1 + 3 + 2 + 6 / 2) / 12]


@settings(deadline=None, max_examples=200)
@given(SCORED)
def test_weighted_areas_agree_with_scikit_learn(rows: list[tuple[bool, int, int]]) -> None:
    positive, score, weight = (np.array(column) for column in zip(*rows))
    got = weighted_aucs(positive, score, weight[None])[0]
    if weight[positive].sum() and weight[~positive].sum():
        assert got == pytest.approx(roc_auc_score(positive, score, sample_weight=weight), abs=1e-12)
    else:
        assert np.isnan(got)


@settings(deadline=None, max_examples=100)
@given(SCORED, st.randoms(use_true_random=False))
def test_a_count_is_a_repeated_case_in_any_order(rows: list[tuple[bool, int, int]], random) -> None:
    positive, score, weight = (np.array(column) for column in zip(*rows))
    whole = weighted_aucs(positive, score, weight[None])[0]
    repeated = np.repeat(np.arange(len(rows)), weight)
    random.shuffle(repeated)
    again = weighted_aucs(positive[repeated], score[repeated], np.ones((1, len(repeated))))[0]
    np.testing.assert_array_equal(again, whole)


def test_many_draws_equal_single_ones() -> None:
    grades, p = graded_predictions(50, digits=1)
    weights = np.random.default_rng(1).integers(0, 4, (300, 50))
    one_by_one = [class_aucs(grades, p, w[None])[0] for w in weights]
    np.testing.assert_array_equal(class_aucs(grades, p, weights), one_by_one)


def test_each_class_against_the_rest_and_their_mean() -> None:
    grades, p = graded_predictions(80, digits=2)
    each = [roc_auc_score(grades == c, p[:, c]) for c in range(3)]
    np.testing.assert_allclose(class_aucs(grades, p), each, rtol=1e-14)
    assert macro_auc(grades, p) == pytest.approx(roc_auc_score(grades, p, multi_class="ovr"), rel=1e-14)


def test_a_reversed_score_has_one_minus_the_area() -> None:
    grades, p = graded_predictions(60, digits=1)
    one = np.ones((1, 60))
    assert weighted_aucs(grades == 0, -p[:, 0], one) == pytest.approx(1 - weighted_aucs(grades == 0, p[:, 0], one))


def test_an_absent_class_has_no_area() -> None:
    each = class_aucs(np.array([0, 0, 2]), np.full((3, 3), 1 / 3))
    np.testing.assert_array_equal(np.isnan(each), [False, True, False])
    assert np.isnan(macro_auc(np.array([1, 1]), np.full((2, 3), 1 / 3)))
