"""Shapley shares: compared with all orderings, worked out by hand, for equal and idle nodes, sampled against exact."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.student import shares as module
from REACTKDLib.core.student.explain import Votes, softmax
from REACTKDLib.core.student.shares import redundant_nodes, shares_of


def draw(seed: int, nodes: int, classes: int = 3) -> Votes:
    """Random votes with a softmax over the null node and `nodes`."""
    rng = np.random.default_rng(seed)
    a, scores = softmax(1.5 * rng.normal(size=nodes + 1)), 3 * rng.normal(size=(nodes + 1, classes))
    return Votes(a[1:], scores[1:], rng.normal(size=classes), a[0] * scores[0], float(a[0]))


def alike(a: list[float], scores: list[list[float]], bias: list[float]) -> Votes:
    """Votes from unnormalized weights and scores, null node first."""
    a = np.array(a) / sum(a)
    scores = np.array(scores, dtype=float)
    return Votes(a[1:], scores[1:], np.array(bias, dtype=float), a[0] * scores[0], float(a[0]))


def value(votes: Votes, members: tuple[int, ...]) -> np.ndarray:
    """The value v of a set of nodes by its definition, a softmax over the set's members, independently of `shares`."""
    weights = np.array([votes.null_weight, *votes.weights[list(members)]])
    scores = np.vstack([votes.null / votes.null_weight, votes.scores[list(members)]])
    return softmax(votes.bias + weights / weights.sum() @ scores)


def by_all_orders(votes: Votes) -> np.ndarray:
    """(m, K): what each node adds when it joins, averaged over all orderings."""
    m = len(votes.weights)
    orders = list(permutations(range(m)))
    gained = np.zeros_like(votes.scores)
    for order in orders:
        for place, node in enumerate(order):
            gained[node] += value(votes, order[: place + 1]) - value(votes, order[:place])
    return gained / len(orders)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(2, 4))
def test_shares_are_the_means_over_all_orders(seed, nodes, classes):
    votes = draw(seed, nodes, classes)
    found = shares_of(votes)
    assert found.errors is None
    assert np.allclose(found.values, by_all_orders(votes), atol=1e-9)
    assert np.allclose(found.without_regions, value(votes, ()), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 18))
def test_shares_add_up_whether_exact_or_drawn(seed, nodes):
    votes = draw(seed, nodes)
    found = shares_of(votes)
    assert (found.errors is None) == (nodes <= 12)
    assert np.allclose(found.values.sum(0), softmax(votes.logits) - found.without_regions, atol=1e-12)
    assert np.allclose(found.values.sum(1), 0, atol=1e-12), "shares must add up to zero over the classes"


def test_two_nodes_by_hand():
    """Two classes, weights 1/4 (null), 1/4 and 1/2; logits of the sets: 0, 1, 2 and (0 + 2 + 6) / 4 = 2."""
    votes = alike([1, 1, 2], [[0, 0], [2, 0], [3, 0]], [0, 0])
    p = [1 / (1 + np.exp(-z)) for z in (0, 1, 2, 2)]
    assert shares_of(votes).values[:, 0] == pytest.approx(
        [(p[1] - p[0] + p[3] - p[2]) / 2, (p[2] - p[0] + p[3] - p[1]) / 2], abs=1e-12
    )
    assert shares_of(votes).values[:, 0] == pytest.approx([0.1155293, 0.2652678], abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, 8, 12, 15]), st.data())
def test_equal_nodes_get_equal_shares_and_idle_ones_get_none(seed, nodes, data):
    votes = draw(seed, nodes)
    first, second, idle = data.draw(st.permutations(range(nodes)))[:3]
    weights, scores = votes.weights.copy(), votes.scores.copy()
    weights[second], scores[second], weights[idle] = weights[first], scores[first], 0.0
    left = votes.null_weight + weights.sum()
    votes = Votes(weights / left, scores, votes.bias, votes.null / left, votes.null_weight / left)
    found = shares_of(votes).values
    assert np.array_equal(found[first], found[second])
    assert np.all(found[idle] == 0)
    assert np.allclose(found.sum(0), softmax(votes.logits) - softmax(votes.bias + votes.null / votes.null_weight))


def test_a_node_with_constant_scores_gets_no_share():
    """Scores that differ by a constant over the classes do not change a softmax, whatever the weights."""
    votes = alike([1, 2, 3], [[1, 0, 2], [5, 4, 6], [0, -1, 1]], [0.3, 0, 0])
    assert np.abs(shares_of(votes).values).max() < 1e-12
    # A node that agrees with the sum of the others is not idle: alone it changes the answer. Its deletion effect is 0.
    votes = draw(1, 3)
    rest = votes.muted([0])
    scores = votes.scores.copy()
    scores[0] = rest.logits - rest.bias
    votes = Votes(votes.weights, scores, votes.bias, votes.null, votes.null_weight)
    assert abs(votes.deletion_effect(0)[0]) < 1e-9 and np.abs(shares_of(votes).values[0]).max() > 0.01
    assert np.allclose(shares_of(votes).values, by_all_orders(votes), atol=1e-9)


@pytest.mark.parametrize("nodes", [13, 14])
def test_sampled_shares_agree_with_exact_ones_within_their_error(nodes, monkeypatch):
    beyond = []
    for seed in range(8):
        drawn = shares_of(draw(seed, nodes))
        with monkeypatch.context() as patch:
            patch.setattr(module, "MOST_EXACT", nodes)
            exact = shares_of(draw(seed, nodes))  # a new object with the same numbers: nothing is cached
        assert drawn.errors is not None and exact.errors is None
        assert 0 < drawn.errors.max() < 0.01, "a percentage point at most"
        beyond.append((np.abs(drawn.values - exact.values) / drawn.errors).ravel())
    beyond = np.concatenate(beyond)
    assert beyond.max() < 4.5 and np.mean(beyond < 1) == pytest.approx(0.68, abs=0.1)


def test_drawn_shares_are_the_same_each_time_and_many_nodes_cost_little():
    first, second = shares_of(draw(3, 200)), shares_of(draw(3, 200))
    assert np.array_equal(first.values, second.values) and np.array_equal(first.errors, second.errors)
    assert np.allclose(first.values.sum(0), softmax(draw(3, 200).logits) - first.without_regions, atol=1e-12)


def test_a_null_node_without_weight_has_no_effect():
    votes = Votes(np.array([0.5, 0.5]), np.array([[1.0, 0], [0, 2]]), np.zeros(2), np.zeros(2), 0.0)
    found = shares_of(votes)
    assert found.without_regions == pytest.approx([0.5, 0.5])
    assert np.allclose(found.values.sum(0), softmax(votes.logits) - 0.5)


def test_two_redundant_lesions_are_found():
    """Leaving out either one changes little; each gets half of what is explained and alone gives the answer."""
    votes = alike([1, 1, 9, 9], [[0, 0, 0], [0, 0.5, 0], [0, 0, 4], [0, 0, 4]], [0.3, 0.4, 0])
    share, effect = shares_of(votes).values[:, 2], votes.deletion_effect(2)
    assert share[1] == share[2] > 0.25 and effect[1] < 0.03
    assert redundant_nodes([votes], 2) == (1, 2)
    assert redundant_nodes([votes.muted([1])], 2) == (), "a single lesion must not be redundant"
    # Both are needed: neither alone outweighs the liver.
    votes = alike([1, 9, 5, 5], [[0, 0, 0], [0, 2.5, 0], [0, 0, 6], [0, 0, 6]], [0, 0, 0])
    assert votes.logits.argmax() == 2 and redundant_nodes([votes], 2) == ()


def test_lesions_that_are_not_needed_are_not_redundant():
    """Without both, the liver gives the same answer, so neither is reported as giving it alone."""
    votes = alike([1, 1, 9, 9], [[0, 0, 0], [0, 0, 0.5], [0, 0, 4], [0, 0, 4]], [0.3, 0.4, 0.3])
    share, effect = shares_of(votes).values[:, 2], votes.deletion_effect(2)
    assert min(share[1:]) > 0.2 and max(abs(effect[1:])) < 0.03
    assert votes.muted([1, 2]).logits.argmax() == 2 and redundant_nodes([votes], 2) == ()


def test_the_demo_case_has_two_redundant_lesions():
    """Null node, parenchyma, two lesions, number and shape: rounded values of the demo case."""
    scores = [[-0.8, -1, -2], [5.9, 8, -18.9], [-10.2, 4, 8.1], [-7.1, 3, 6.6], [-2.7, 0.7, 2.6]]
    votes = alike([0.041, 0.01, 0.454, 0.373, 0.122], scores, [-0.1, 0.19, -0.02])
    share, effect = shares_of(votes).values[:, 2], votes.deletion_effect(2)
    assert share == pytest.approx([-0.081, 0.381, 0.349, 0.164], abs=5e-4)
    assert effect == pytest.approx([-0.013, 0.057, 0.016, -0.008], abs=5e-4)
    assert votes.muted([1, 2]).logits.argmax() == 1, "the shape alone must give moderate"
    assert redundant_nodes([votes], 2) == (1, 2)


def test_shares_show_two_lesions_whose_deletion_effects_vanish():
    """The phantom "poor", lesions of 77 and 9 ml: deletion explains 4 of 94 points, shares explain all of them."""
    scores = [[0.4, 0.2, -0.8], [5.9, 7.8, -18.6], [-7.1, 3.4, 6.6], [-6.9, 2.5, 6.2], [-4.7, 1, 4.8]]
    votes = alike([0.047, 0.012, 0.371, 0.394, 0.176], scores, [-0.15, 0.14, -0.07])
    found = shares_of(votes)
    assert votes.deletion_effect(2).sum() == pytest.approx(0.037, abs=5e-4)
    assert found.values[:, 2] == pytest.approx([-0.072, 0.287, 0.316, 0.273], abs=5e-4)
    assert found.without_regions[2] + found.values[:, 2].sum() == pytest.approx(softmax(votes.logits)[2], abs=1e-12)
    assert redundant_nodes([votes], 2) == (1, 2, 3)
