"""The stratified bootstrap over patients, as weights: how often each case was drawn."""

from __future__ import annotations

import numpy as np


def bootstrap_weights(
    grades: np.ndarray, patients: np.ndarray | None = None, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """(draws, n) counts. Patients are drawn with replacement within each grade; all cases of a patient come along.

    grades: (n,). patients: (n,) names, or None when each case is a patient of its own. A patient's stratum is the grade
    of the first case. The same grades, patients and seed give the same weights: comparisons are paired.
    """
    grades = np.asarray(grades)
    names = np.arange(len(grades)) if patients is None else np.asarray(patients)
    _, first, of_case = np.unique(names, return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = np.zeros((draws, len(first)), dtype=np.int32)
    stratum = grades[first]
    for grade in np.unique(stratum):
        own = np.flatnonzero(stratum == grade)
        counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=draws)
    return counts[:, of_case.ravel()]


def interval95(values: np.ndarray) -> list[float] | None:
    """The 2.5th and 97.5th percentile; None when a value is not finite."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        return None
    return [float(v) for v in np.percentile(values, (2.5, 97.5))]


def paired_auc_difference(
    grades: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Macro AUC of probabilities a minus that of b, (n, K) each, of the same cases: difference and 95 % interval."""
    from REACTKDTrainLib.evaluation.auc import class_aucs, macro_auc

    weights = bootstrap_weights(grades, patients, draws, seed)
    spread = class_aucs(grades, a, weights).mean(axis=1) - class_aucs(grades, b, weights).mean(axis=1)
    return {
        "difference": macro_auc(grades, a) - macro_auc(grades, b),
        "interval95": interval95(spread),
        "share_of_draws_above_0": float((spread > 0).mean()),
        "cases": len(grades),
        "draws": draws,
    }
