"""Macro one-vs-rest AUC with bootstrap intervals, alone and paired, on the test phantoms."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def class_aucs(grade: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """One-vs-rest AUC of each class. grade: (N,); scores: (N, K), any monotone score. Ties count one half."""
    ranks = rankdata(scores, axis=0)
    out = []
    for c in range(scores.shape[1]):
        own = grade == c
        n, m = own.sum(), (~own).sum()
        out.append((ranks[own, c].sum() - n * (n + 1) / 2) / (n * m))
    return np.array(out)


def macro_auc(grade: np.ndarray, scores: np.ndarray) -> float:
    """Mean of `class_aucs` (equation 23 of arXiv 2508.02104)."""
    return float(class_aucs(grade, scores).mean())


def resamples(grade: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Patient bootstrap, stratified by grade: (draws, N) row indices. The same rows for every method: paired."""
    rng = np.random.default_rng(seed)
    parts = [np.flatnonzero(grade == c) for c in np.unique(grade)]
    return np.concatenate([rng.choice(p, (draws, len(p))) for p in parts], axis=1)


def interval(values: np.ndarray) -> list[float]:
    """95 % percentile interval."""
    return [round(float(v), 4) for v in np.percentile(values, (2.5, 97.5))]


def describe(grade: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> dict:
    """AUC (macro, per class, interval) and accuracy of probabilities (N, K)."""
    each = class_aucs(grade, scores)
    spread = np.array([macro_auc(grade[r], scores[r]) for r in rows])
    return {
        "auc": round(float(each.mean()), 4),
        "interval95": interval(spread),
        "auc_per_class": [round(float(v), 4) for v in each],
        "accuracy": round(float((scores.argmax(axis=1) == grade).mean()), 4),
    }


def paired_difference(grade: np.ndarray, a: np.ndarray, b: np.ndarray, rows: np.ndarray) -> dict:
    """Macro AUC of `a` minus that of `b` on the same patients, with its 95 % interval."""
    spread = np.array([macro_auc(grade[r], a[r]) - macro_auc(grade[r], b[r]) for r in rows])
    return {"difference": round(macro_auc(grade, a) - macro_auc(grade, b), 4), "interval95": interval(spread)}
