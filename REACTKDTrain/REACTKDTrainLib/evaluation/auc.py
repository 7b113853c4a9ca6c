"""One-vs-rest areas under the ROC curve, of a sample and of many weighted resamples of it at once."""

from __future__ import annotations

import numpy as np

_AT_ONCE = 128  # resamples whose running sums stay in the processor's cache


def weighted_aucs(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(score of a positive > of a negative) + half of the ties, under case weights (Hanley and McNeil 1982).

    positive: (n,) bool; score: (n,); weights: (draws, n), 0 and up. Returns (draws,), NaN where either side has no
    weight. Sorted once for all resamples: each then costs a running sum. Exact for counts, whatever the order of cases.
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score)
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(score[negative], kind="stable")]
    below = np.searchsorted(score[negative], score[positive], side="left")
    not_above = np.searchsorted(score[negative], score[positive], side="right")
    out = np.full(len(weights), np.nan)
    for start in range(0, len(weights), _AT_ONCE):
        own = weights[start : start + _AT_ONCE][:, positive].astype(np.float64)
        mass = np.zeros((len(own), len(negative) + 1))
        np.cumsum(weights[start : start + _AT_ONCE][:, negative], axis=1, out=mass[:, 1:])
        wins = np.einsum("ij,ij->i", own, mass[:, below] + mass[:, not_above]) / 2
        pairs = own.sum(axis=1) * mass[:, -1]
        np.divide(wins, pairs, out=out[start : start + _AT_ONCE], where=pairs > 0)
    return out


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
