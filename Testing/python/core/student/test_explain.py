"""Contributions, deletion in closed form, muting, edge cases, the rule for 'not sure'."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.student.explain import UncertaintyRule, Votes, cosine_edges, softmax
from REACTKDLib.core.student.shares import shares_of


def draw(seed: int, nodes: int, classes: int = 3, spread: float = 2.0) -> tuple[Votes, np.ndarray]:
    """Return votes and the attention logits (null node first) that they were computed from."""
    rng = np.random.default_rng(seed)
    u = spread * rng.normal(size=nodes + 1)
    a, scores = softmax(u), 3 * rng.normal(size=(nodes + 1, classes))
    return Votes(a[1:], scores[1:], rng.normal(size=classes), a[0] * scores[0], float(a[0])), u


def recomputed(votes: Votes, u: np.ndarray, without: list[int]) -> np.ndarray:
    """Logits recomputed by a softmax over the remaining nodes, independently of the closed form."""
    keep = [0] + [n + 1 for n in range(len(votes.weights)) if n not in without]
    scores = np.vstack([votes.null / votes.null_weight, votes.scores])
    return votes.bias + softmax(u[keep]) @ scores[keep]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.floats(0.1, 6.0))
def test_deletion_by_formula_is_deletion_by_recomputation(seed, nodes, spread):
    votes, u = draw(seed, nodes, spread=spread)
    without, a, s, z, b = votes.logits_without_each(), votes.weights, votes.scores, votes.logits, votes.bias
    for j in range(nodes):
        assert np.allclose(without[j], recomputed(votes, u, [j]), atol=1e-8)
        if a[j] < 0.999:
            assert np.allclose(without[j], z - a[j] / (1 - a[j]) * (s[j] - (z - b)), atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10), st.data())
def test_muting_several_nodes_is_recomputation_without_them(seed, nodes, data):
    votes, u = draw(seed, nodes)
    gone = data.draw(st.lists(st.integers(0, nodes - 1), unique=True))
    muted = votes.muted(gone)
    assert np.allclose(muted.logits, recomputed(votes, u, gone), atol=1e-10)
    assert np.allclose(muted.baseline + muted.contributions.sum(0), muted.logits, atol=1e-12)
    assert all(muted.weights[n] == 0 for n in gone)
    assert muted.weights.sum() + muted.null_weight == pytest.approx(1)


def test_a_node_with_nearly_all_the_weight_is_still_deleted_exactly():
    votes, u = draw(5, 3)
    u = u + np.array([0, 30.0, 0, 0])
    a = softmax(u)
    scores = np.vstack([votes.null / votes.null_weight, votes.scores])
    votes = Votes(a[1:], votes.scores, votes.bias, a[0] * scores[0], float(a[0]))
    assert np.allclose(votes.logits_without_each()[0], recomputed(votes, u, [0]), atol=1e-8)


@pytest.mark.filterwarnings("error")
def test_without_any_weight_left_the_bias_alone_remains():
    """Attention can round to 1 for a node and to 0 for all others; the value of no nodes is that of `shares`."""
    votes = Votes(np.array([1.0, 0.0]), np.array([[2.0, 0.0, 0.0], [0, 0, 0]]), np.array([0.0, 1, 2]), np.zeros(3), 0.0)
    alone = softmax(votes.bias)
    assert np.array_equal(votes.muted([0]).logits, votes.bias)
    assert np.array_equal(softmax(votes.muted([0, 1]).logits), shares_of(votes).without_regions)
    assert votes.deletion_effect(0) == pytest.approx([softmax(votes.logits)[0] - alone[0], 0])


def test_deletion_effect_has_the_sign_of_support_and_the_size_of_the_change():
    votes, u = draw(1, 4)
    p = softmax(votes.logits)
    best = int(p.argmax())
    effects = votes.deletion_effect(best)
    for node, effect in enumerate(effects):
        assert effect == pytest.approx(p[best] - softmax(recomputed(votes, u, [node]))[best], abs=1e-9)
    # A constant added to every score changes all contributions but no probability.
    same = Votes(votes.weights, votes.scores + 7, votes.bias, votes.null + 7 * votes.null_weight, votes.null_weight)
    assert np.allclose(same.deletion_effect(best), effects, atol=1e-9)


def test_a_node_without_weight_or_with_neutral_scores_has_no_effect():
    votes, _ = draw(2, 3)
    idle = votes.muted([1])
    assert idle.deletion_effect(0)[1] == 0
    # Large weight, but the score equals that of the other nodes: no effect (why weights are not shown as importance).
    rest = votes.muted([0])
    scores = votes.scores.copy()
    scores[0] = rest.logits - rest.bias
    agreeing = Votes(votes.weights, scores, votes.bias, votes.null, votes.null_weight)
    assert np.abs(agreeing.deletion_effect(0)[0]) < 1e-9 and votes.weights[0] > 0.01


def test_edges_are_cosine_similarities():
    edges = cosine_edges(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [0.0, 0.0]]))
    assert [(i, j) for i, j, _ in edges] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert [round(s, 6) for *_, s in edges] == [0.0, round(0.5**0.5, 6), 0.0, round(0.5**0.5, 6), 0.0, 0.0]
    assert cosine_edges(np.ones((1, 4))) == ()


@pytest.mark.parametrize(
    ("probabilities", "unsure"),
    [
        ((0.9, 0.05, 0.05), False),
        ((0.49, 0.26, 0.25), True),
        ((0.52, 0.45, 0.03), True),
        ((0.56, 0.44, 0.0), False),
        ((0.34, 0.33, 0.33), True),
    ],
)
def test_the_uncertainty_rule_of_the_default_task(probabilities, unsure):
    assert UncertaintyRule()(np.array(probabilities)) is unsure


def test_the_bundle_can_set_the_uncertainty_rule():
    assert UncertaintyRule(top_below=0.95)(np.array([0.9, 0.05, 0.05])) is True
    assert UncertaintyRule(top_below=0.0, margin_below=0.0)(np.array([0.34, 0.33, 0.33])) is False
