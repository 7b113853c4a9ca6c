"""Shares: the Shapley values (Shapley 1953) of the nodes for the change of the prediction that all of them cause.

The value of a set S of nodes is the probability of each class if only S and the null node take part,

    v(S) = softmax(b + (a_0 s_0 + sum_S a_i s_i) / (a_0 + sum_S a_i))

(`Votes.muted` of all others). The share of node i is the mean increase of v when i is added, over all orders of the
nodes. The shares of all nodes add up to v(all) - v(none); see docs/explanation/method.md, Head and explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from REACTKDLib.core.student.explain import Votes, softmax

MOST_EXACT = 12  # nodes: 4096 sets, about a millisecond
#: orders are drawn in pairs, one the reverse of the other, which reduces the variance
_PAIRS, _FEWEST_PAIRS = 512, 128
_STEPS = 16384  # pairs times nodes, which limits the time for a case with very many nodes
_SEED = 20260


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the classes' probabilities.

    values: (m, K), one row for each node; a row sums to 0, a column to the prediction minus `without_regions`.
    without_regions: (K,) probabilities with the null node alone. errors: (m, K) standard errors of sampled values; None
    if all sets were evaluated.
    """

    values: np.ndarray
    without_regions: np.ndarray
    errors: np.ndarray | None = None


@lru_cache(maxsize=16)  # several explanation values use the same shares, for each member of an ensemble
def shares_of(votes: Votes) -> Shares:
    """Return the Shapley share of each node in each class's probability, in float64.

    Exact, over all sets, for up to `MOST_EXACT` nodes with a weight; beyond that, over random orders (Castro et al.
    2009) with a fixed seed, so that the same votes give the same shares. Nodes without weight get exactly 0, equal
    nodes exactly the same.
    """
    m, classes = votes.scores.shape
    players = np.flatnonzero(votes.weights > 0)
    weights, terms = votes.weights[players], votes.contributions[players]
    without = _values(votes, np.zeros(1), np.zeros((1, classes)))[0]
    twins = _means_of_twins(votes.weights[players], votes.scores[players])
    values, errors = np.zeros((m, classes)), None
    if len(players) <= MOST_EXACT:
        values[players] = twins @ _exact(votes, weights, terms)
    else:
        errors = np.zeros((m, classes))
        values[players], errors[players] = _sampled(votes, weights, terms, twins)
    return Shares(values, without, errors)


def redundant_nodes(
    members: Sequence[Votes], predicted: int, least: float = 0.1, kept: float = 1 / 3
) -> tuple[int, ...]:
    """Return the redundant nodes, each of which alone leads to the prediction; () if there are fewer than two.

    members: the votes of the members of an ensemble, or of a single model. Each redundant node has a share of at least
    `least` in the probability of class `predicted`, but leaving it out reduces the probability by less than `kept` of
    that share, since the others remain. With any one of them alone, `predicted` remains the most probable class;
    without all of them it does not. If it does, the other regions suffice, and no redundant nodes are returned.
    """
    share = np.mean([shares_of(votes).values[:, predicted] for votes in members], axis=0)
    effect = np.mean([votes.deletion_effect(predicted) for votes in members], axis=0)
    alike = [int(node) for node in np.flatnonzero((share >= least) & (np.abs(effect) < kept * share))]
    while True:
        alone = [node for node in alike if _answer(members, [n for n in alike if n != node]) == predicted]
        if alone == alike:
            needed = len(alike) > 1 and _answer(members, alike) != predicted
            return tuple(alike) if needed else ()
        alike = alone  # nodes removed from the candidates stay unmuted beside them


def _answer(members: Sequence[Votes], muted: Sequence[int]) -> int:
    """Return the index of the most probable class without the nodes `muted`."""
    return int(np.mean([softmax(votes.muted(muted).logits) for votes in members], axis=0).argmax())


def _values(votes: Votes, weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return v of sets.

    weights: (...,) sums of a_i, terms: (..., K) sums of a_i s_i. A null node without weight adds nothing.
    """
    total = votes.null_weight + weights[..., None]
    logits = votes.bias + np.divide(votes.null + terms, total, out=np.zeros_like(terms), where=total > 0)
    return softmax(logits)


def _exact(votes: Votes, weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return the shares (m, K), exactly, over all 2^m sets."""
    inside, counts = _sets(len(weights))
    return counts @ _values(votes, inside @ weights, inside @ terms)


@lru_cache(maxsize=4)  # for the number of nodes of the current case, also after edits
def _sets(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all sets of m nodes as rows of 0 and 1, (2^m, m), and the weight of each set for each node, (m, 2^m).

    A set of n nodes has weight 1 / (m C(m-1, n-1)) for its members and -1 / (m C(m-1, n)) for the others.
    """
    inside = (np.arange(2**m)[:, None] >> np.arange(m) & 1).astype(np.float64)
    sizes = inside.sum(axis=1).astype(int)
    member = np.array([0.0, *(1 / (m * comb(m - 1, n - 1)) for n in range(1, m + 1))])[sizes]
    other = np.array([*(1 / (m * comb(m - 1, n)) for n in range(m)), 0.0])[sizes]
    return inside, np.where(inside > 0, member[:, None], -other[:, None]).T


def _sampled(votes: Votes, weights: np.ndarray, terms: np.ndarray, twins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard errors, (m, K) each, over pairs of random orders.

    The increases of each order add up to the total.
    """
    m, classes = terms.shape
    pairs = int(np.clip(_STEPS // m, _FEWEST_PAIRS, _PAIRS))
    orders = np.random.default_rng(_SEED).permuted(np.tile(np.arange(m), (pairs, 1)), axis=1)
    gains = np.zeros((pairs, m, classes))
    for way in (orders, orders[:, ::-1]):
        sums = np.pad(np.cumsum(weights[way], axis=1), ((0, 0), (1, 0)))
        sets = np.pad(np.cumsum(terms[way], axis=1), ((0, 0), (1, 0), (0, 0)))
        gained = np.empty_like(gains)
        np.put_along_axis(gained, way[..., None], np.diff(_values(votes, sums, sets), axis=1), axis=1)
        gains += gained / 2
    gains = twins @ gains
    return gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(pairs)


def _means_of_twins(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the (m, m) matrix that replaces each row by the mean over nodes with the same weight and scores."""
    rows = np.column_stack([weights, scores])
    same = (rows[:, None] == rows[None]).all(axis=-1)
    return same / same.sum(axis=1, keepdims=True) if len(rows) else np.zeros((0, 0))
