"""One-vs-rest areas under the ROC curve, for a sample or for many weighted resamples of it at once."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

_AT_ONCE = 128  # resamples whose running sums stay in the processor's cache


def weighted_aucs(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """P(score of a positive > of a negative) + half of the ties, under case weights (Hanley and McNeil 1982).

    positive: (n,) bool; score: (n,); weights: (draws, n), nonnegative. Returns (draws,), NaN where either class has no
    weight. Scores are sorted once for all resamples; each resample then costs one cumulative sum. Integer weights give
    exact results, independent of the order of the cases.
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

    Returns (draws, K), or (K,) without weights; NaN for a class that has no case, or all of them.
    """
    w = np.ones((1, len(grades))) if weights is None else weights
    out = np.stack([weighted_aucs(grades == c, probabilities[:, c], w) for c in range(probabilities.shape[1])], axis=1)
    return out[0] if weights is None else out


def macro_auc(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of `class_aucs` (equation 23 of arXiv 2508.02104); NaN if a class is absent."""
    return float(class_aucs(grades, probabilities).mean())


def macro_auc_influence(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): influence of each case on the macro AUC, the mean over classes of `auc_influence`.

    grades: (n,); probabilities: (n, K). NaN if a class has no case, or all of them.
    """
    total = sum(auc_influence(grades == c, probabilities[:, c]) for c in range(probabilities.shape[1]))
    return total / probabilities.shape[1]


def auc_influence(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(n,): influence of each case on an AUC, to first order; the sum over all cases is 0.

    DeLong's structural components minus their mean, divided by the number of positives for a positive and of negatives
    for a negative (DeLong et al. 1988; an infinitesimal jackknife, Efron 1982). The sum of the influences of a resample
    is its AUC minus that of the sample, up to terms of second order.

    positive: (n,) bool; score: (n,). NaN if either class has no case.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    out = np.full(len(positive), np.nan)
    if m and n:
        above, below = components(positive, score)
        out[positive], out[~positive] = (above - above.mean()) / m, (below - below.mean()) / n
    return out


def components(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structural components of an AUC: per positive, the share of negatives below it; per negative, of positives above.

    Ties count one half; the mean of either is the AUC. Computed from ranks in O(n log n), after Sun and Xu (2014).
    positive: (n,) bool, with both classes present; score: (n,). Returns (positives,) and (negatives,).
    """
    among_all, own, others = rankdata(score), rankdata(score[positive]), rankdata(score[~positive])
    return (among_all[positive] - own) / len(others), 1 - (among_all[~positive] - others) / len(own)
