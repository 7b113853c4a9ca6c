"""One-vs-rest areas under the ROC curve, of a sample and of many weighted resamples of it at once."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

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


def macro_auc_influence(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): how much each case moves the macro AUC, to first order; the sum over all cases is 0.

    Mean over classes of DeLong's structural components about their mean, a positive's divided by the number of
    positives, a negative's by that of negatives (DeLong et al. 1988; an infinitesimal jackknife, Efron 1982). The sum
    of a resample's influences is its AUC minus the whole one's, but for terms of second order.

    grades: (n,); probabilities: (n, K). Not a number where a class is absent, or alone.
    """
    out = np.zeros(len(grades))
    for c in range(probabilities.shape[1]):
        positive, score = grades == c, probabilities[:, c]
        m, n = int(positive.sum()), int((~positive).sum())
        if not m or not n:
            return np.full(len(grades), np.nan)
        above, below = components(positive, score)
        out[positive] += (above - above.mean()) / m
        out[~positive] += (below - below.mean()) / n
    return out / probabilities.shape[1]


def components(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Structural components of an AUC: each positive's share of negatives below it, each negative's of positives above.

    Ties count one half; both have the AUC for their mean. From ranks, O(n log n), after Sun and Xu (2014).
    positive: (n,) bool, some of either kind; score: (n,). Returns (positives,) and (negatives,).
    """
    among_all, own, others = rankdata(score), rankdata(score[positive]), rankdata(score[~positive])
    return (among_all[positive] - own) / len(others), 1 - (among_all[~positive] - others) / len(own)
