"""ROC curves on a common grid of false positive rates, with bootstrap bands over patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights
from REACTKDTrainLib.evaluation.checks import checked, checked_binary

GRID = np.linspace(0, 1, 101)


def true_positive_rates(
    positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None, grid: np.ndarray = GRID
) -> np.ndarray:
    """True positive rate at each false positive rate of `grid` (g,): (g,), or (draws, g) with weights.

    positive: (n,) bool; score: (n,); weights: (draws, n), positive for some case of each class. Ties form a slanted
    segment; at a vertical step, its upper end is used (vertical averaging, Fawcett 2006).

    Raises: UsageError, see `checked_binary`.
    """
    positive, score = checked_binary(positive, score)
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # last case of each group of equal scores
    drawn = (np.ones((1, len(score))) if weights is None else weights)[:, order].astype(np.float64)
    found, false = (_risen(drawn * side, ends) for side in (positive[order], ~positive[order]))
    out = np.stack([np.interp(grid, x, y) for x, y in zip(false, found)])
    return out[0] if weights is None else out


def roc_curves(
    grades: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
    classes: Sequence[str] = GRADES,
) -> dict[str, dict[str, list[float]] | None]:
    """Each class against the rest: 'false_positive_rate' (`GRID`), 'true_positive_rate', and its pointwise 95 % band
    'low', 'high' over patients, stratified by grade. None for a class that has no case, or all of them.

    Raises: UsageError, see `checked` and `bootstrap_weights`.
    """
    grades, probabilities = checked(grades, probabilities, classes)
    weights = bootstrap_weights(grades, patients, draws, seed)
    out: dict[str, dict[str, list[float]] | None] = {}
    for c, name in enumerate(classes):
        own = grades == c
        if own.all() or not own.any():
            out[name] = None
            continue
        low, high = np.percentile(true_positive_rates(own, probabilities[:, c], weights), (2.5, 97.5), axis=0)
        rate = true_positive_rates(own, probabilities[:, c])
        curves = {"false_positive_rate": GRID, "true_positive_rate": rate, "low": low, "high": high}
        out[name] = {key: curve.tolist() for key, curve in curves.items()}
    return out


def _risen(weights: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(draws, groups + 1): cumulative share of the weight up to the end of each group, from 0 to 1."""
    mass = np.cumsum(weights, axis=1)
    return np.column_stack([np.zeros(len(mass)), mass[:, ends] / mass[:, -1:]])
