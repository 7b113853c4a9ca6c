"""Faithfulness of an explanation: does it rank regions by their effect on the output? The caller provides the outputs.

The contribution of a node is the term that the head adds for it; its effect is the drop of the output when it is
deleted. An explanation is faithful if deleting nodes in its order lowers the output faster than in random order
(deletion curve, Samek et al. 2017; Petsiuk et al. 2018, arXiv 1806.07421), and if contribution and effect rank the
nodes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations
from math import factorial

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95

Answer = Callable[[frozenset[int]], float]
MOST_NODES_EXACT = 10  # 1,024 sets of deleted nodes
_RANDOM_ORDERS = 500


def deletion_curve(answer: Answer, order: Sequence[int]) -> np.ndarray:
    """(m + 1,): the output with nothing deleted, then after each further node of `order` (m,).

    answer: deleted nodes -> output, such as the probability of the predicted grade.
    """
    return np.array([answer(frozenset(order[:k])) for k in range(len(order) + 1)], dtype=np.float64)


def area(curve: np.ndarray) -> float:
    """Area under a deletion curve (m + 1,) by the trapezoidal rule, over the share of deleted nodes: a mean height.

    Raises: UsageError for fewer than two points.
    """
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1 or len(curve) < 2:
        raise UsageError("A deletion curve has two points at least: with all nodes, and without one; give a node.")
    return float((curve[:-1] + curve[1:]).mean() / 2)


def random_area(answer: Answer, nodes: int, seed: int = 0) -> float:
    """Mean area over all orders of `nodes` nodes.

    Exact up to `MOST_NODES_EXACT`, without enumerating the orders: after k deletions of a random order, all sets of k
    nodes are equally probable. Above, the mean of 500 random orders.

    Raises: UsageError without nodes.
    """
    if nodes < 1:
        raise UsageError("A deletion curve needs a node to delete.")
    if nodes > MOST_NODES_EXACT:
        rng = np.random.default_rng(seed)
        return float(np.mean([area(deletion_curve(answer, rng.permutation(nodes))) for _ in range(_RANDOM_ORDERS)]))
    sizes = range(nodes + 1)
    return area(np.array([np.mean([answer(frozenset(s)) for s in combinations(range(nodes), k)]) for k in sizes]))


def deletion_gain(answer: Answer, importance: np.ndarray, seed: int = 0) -> float:
    """Area of random order minus area of deleting the most important nodes first. importance: (m,).

    Above 0: the explanation finds the regions that determine the output faster than chance. 0 for a single node, which
    has only one order. For nodes of equal importance, the mean over all their orders.

    Raises: UsageError without nodes.
    """
    importance = np.asarray(importance, dtype=np.float64)
    by_chance = random_area(answer, len(importance), seed)
    return by_chance - float(np.mean([area(deletion_curve(answer, order)) for order in _orders(importance, seed)]))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's rho of two explanations of the same nodes, (m,) each; None for one node, or if one of them is
    constant.

    Used for contribution and measured effect; for deletion of a node and occlusion of the lesion in the image; and for
    the contributions of a trained network and of one with random weights, where it should be near 0 (Adebayo et al.
    2018, arXiv 1810.03292).

    Raises: UsageError for shapes that do not match.
    """
    from scipy.stats import spearmanr

    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise UsageError(f"Two explanations of the same nodes have the same length, not {a.shape} and {b.shape}.")
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def mean_over_cases(values: Iterable[float | None], draws: int = 2000, seed: int = 0) -> dict:
    """Mean of one value per case with its 95 % bootstrap interval over cases; None values are excluded and counted.

    Returns 'mean' and 'interval95' (None if no case has a value), 'cases', 'left_out', and 'above_0', the share of the
    cases with a value above 0.
    """
    values = list(values)
    held = np.array([v for v in values if v is not None], dtype=np.float64)
    out = {"mean": None, "interval95": None, "above_0": None, "cases": len(held), "left_out": len(values) - len(held)}
    if len(held):
        spread = bootstrap_weights(np.zeros(len(held)), draws=draws, seed=seed) @ held / len(held)
        out |= {"mean": float(held.mean()), "interval95": interval95(spread), "above_0": float((held > 0).mean())}
    return out


def _orders(importance: np.ndarray, seed: int) -> list[list[int]]:
    """All orders by decreasing importance: several if nodes tie, and 500 random ones if there are too many."""
    levels = [np.flatnonzero(importance == v).tolist() for v in np.unique(importance)[::-1]]
    orders: list[list[int]] = [[]]
    if np.prod([float(factorial(len(level))) for level in levels]) > _RANDOM_ORDERS:
        rng = np.random.default_rng(seed)
        return [[i for level in levels for i in rng.permutation(level).tolist()] for _ in range(_RANDOM_ORDERS)]
    for level in levels:
        orders = [[*order, *more] for order in orders for more in permutations(level)]
    return orders
