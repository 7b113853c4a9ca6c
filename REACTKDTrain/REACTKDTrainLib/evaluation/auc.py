"""One-vs-rest areas under the ROC curve, of a sample and of many weighted resamples of it at once."""

from __future__ import annotations

import numpy as np


def weighted_aucs(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(score of a positive > of a negative) + half of the ties, under case weights.

    positive: (n,) bool; score: (n,); weights: (draws, n), 0 and up. Returns (draws,), NaN where either side has no
    weight. Sorted once, so that thousands of bootstrap resamples cost one pass over their weights.
    """
    order = np.argsort(score, kind="stable")
    value, w, own = score[order], weights[:, order].astype(np.float64), positive[order]
    start = np.concatenate([[0], np.flatnonzero(np.diff(value)) + 1])  # first of each group of equal scores
    below = np.cumsum(np.add.reduceat(w * ~own, start, axis=1), axis=1)
    ties = np.add.reduceat(w * ~own, start, axis=1)
    wins = np.add.reduceat(w * own, start, axis=1) * (below - ties / 2)
    total = (w * own).sum(axis=1) * (w * ~own).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, wins.sum(axis=1) / total, np.nan)


def class_aucs(grades: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """One-vs-rest AUC of each class. grades: (n,); probabilities: (n, K); weights: (draws, n) or None for ones.

    Returns (draws, K), or (K,) without weights; NaN for a class that is absent, or alone.
    """
    w = np.ones((1, len(grades))) if weights is None else weights
    out = np.stack([weighted_aucs(grades == c, probabilities[:, c], w) for c in range(probabilities.shape[1])], axis=1)
    return out[0] if weights is None else out


def macro_auc(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of `class_aucs` (equation 23 of arXiv 2508.02104); NaN when a class is absent."""
    return float(class_aucs(grades, probabilities).mean())
