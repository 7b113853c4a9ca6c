"""Deletion curves and rank correlations of explanations, for answers that are known completely."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.explain import Votes, softmax
from REACTKDTrainLib.evaluation.faithfulness import (
    MOST_NODES_EXACT,
    area,
    deletion_curve,
    deletion_gain,
    mean_over_cases,
    random_area,
    rank_correlation,
)

SHARES = (0.5, 0.1, 0.3)  # what each node adds to an answer that starts at 0.05


def additive(deleted: frozenset[int]) -> float:
    return 0.05 + sum(share for node, share in enumerate(SHARES) if node not in deleted)


def some_votes(nodes: int, seed: int) -> Votes:
    """An answer of a head, in the form the shipped student gives it."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(nodes + 1))
    scores, bias, null = 2 * rng.normal(size=(nodes, 3)), rng.normal(size=3), rng.normal(size=3)
    return Votes(weights[1:], scores, bias, weights[0] * null, weights[0])


def answer_of(votes: Votes) -> tuple:
    """Deleted nodes -> probability of the predicted grade, in the head's closed form; and that grade."""
    grade = int(votes.logits.argmax())
    return (lambda deleted: float(softmax(votes.muted(sorted(deleted)).logits)[grade])), grade


def test_deletion_curves_agree_with_hand_worked_values() -> None:
    np.testing.assert_allclose(deletion_curve(additive, [0, 2, 1]), [0.95, 0.45, 0.15, 0.05])
    assert area([0.95, 0.45, 0.15, 0.05]) == pytest.approx((0.5 + 0.45 + 0.15) / 3)
    # On average each deletion removes a third of what the nodes add: 0.95, 0.65, 0.35, 0.05.
    assert random_area(additive, 3) == pytest.approx(0.5)
    assert deletion_gain(additive, [0.5, 0.1, 0.3]) == pytest.approx(0.5 - 1.1 / 3)
    assert deletion_gain(additive, [-0.5, -0.1, -0.3]) == pytest.approx(1.1 / 3 - 0.5)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_random_order_is_the_mean_over_all_orders(nodes: int, seed: int) -> None:
    answer, _ = answer_of(some_votes(nodes, seed))
    every = [area(deletion_curve(answer, order)) for order in permutations(range(nodes))]
    assert random_area(answer, nodes) == pytest.approx(np.mean(every))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_no_order_is_better_than_that_of_the_true_effects(shares: list[float], guess: list[float]) -> None:
    """For additive effects, deleting the largest first is best, and the reverse order is worst."""

    def answer(deleted: frozenset[int]) -> float:
        return sum(s for node, s in enumerate(shares) if node not in deleted)

    best, worst = deletion_gain(answer, shares), deletion_gain(answer, -np.array(shares))
    assert worst - 1e-9 <= deletion_gain(answer, guess[: len(shares)]) <= best + 1e-9
    assert best >= -1e-9 and worst == pytest.approx(-best, abs=1e-9)


def test_a_constant_explanation_has_no_gain() -> None:
    answer, _ = answer_of(some_votes(5, 3))
    assert deletion_gain(answer, np.ones(5)) == pytest.approx(0)
    assert deletion_gain(answer, [0.7]) == pytest.approx(0), "one node has one order"


def test_ties_are_taken_in_every_order() -> None:
    first, second = deletion_curve(additive, [0, 1, 2]), deletion_curve(additive, [0, 2, 1])
    tied = deletion_gain(additive, [1.0, 0.5, 0.5])
    assert tied == pytest.approx(random_area(additive, 3) - (area(first) + area(second)) / 2)


def test_many_nodes_are_sampled_with_a_small_error() -> None:
    nodes = MOST_NODES_EXACT + 2
    shares = np.random.default_rng(0).random(nodes)

    def answer(deleted: frozenset[int]) -> float:
        return float(sum(s for node, s in enumerate(shares) if node not in deleted))

    assert random_area(answer, nodes) == pytest.approx(shares.sum() / 2, rel=0.02)
    assert random_area(answer, nodes) == random_area(answer, nodes)
    assert deletion_gain(answer, np.zeros(nodes)) == pytest.approx(0, abs=0.02 * shares.sum())
    assert deletion_gain(answer, shares) > 0.05 * shares.sum()


def test_the_heads_own_deletion_effect_is_faithful_to_the_head_and_a_random_one_is_not() -> None:
    true, guessed = [], []
    for seed in range(60):
        votes = some_votes(4, seed)
        answer, grade = answer_of(votes)
        true.append(deletion_gain(answer, votes.deletion_effect(grade)))
        guessed.append(deletion_gain(answer, np.random.default_rng(seed).normal(size=4)))
    found, chance = mean_over_cases(true), mean_over_cases(guessed)
    assert found["interval95"][0] > 0.02 and found["above_0"] > 0.9
    assert chance["interval95"][0] < 0 < chance["interval95"][1]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=20))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert rank_correlation(a, b) is None
    else:
        assert rank_correlation(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)


def test_rank_correlation_agrees_with_hand_worked_values() -> None:
    assert rank_correlation([1, 2, 3], [10, 200, 3000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [5, 4, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert rank_correlation([1], [2]) is None and rank_correlation([], []) is None


def test_mean_over_cases_counts_what_it_leaves_out() -> None:
    found = mean_over_cases([1.0, None, 0.0, 0.5, None])
    assert found["mean"] == 0.5 and found["cases"] == 3 and found["left_out"] == 2
    assert found["above_0"] == pytest.approx(2 / 3) and found["interval95"][0] < 0.5 < found["interval95"][1]
    json.dumps(found, allow_nan=False)
    assert found["interval95"] == mean_over_cases([1.0, 0.0, 0.5])["interval95"]
    nothing = mean_over_cases([None])
    assert nothing["mean"] is nothing["interval95"] is None and nothing["left_out"] == 1


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="two points"):
        area([1.0])
    with pytest.raises(UsageError, match="needs a node"):
        random_area(additive, 0)
    with pytest.raises(UsageError, match="needs a node"):
        deletion_gain(additive, [])
    with pytest.raises(UsageError, match="same length"):
        rank_correlation([1, 2], [1, 2, 3])
