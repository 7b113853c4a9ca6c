"""The confusion matrix, the measures computed from it, and proper scores, for many resamples at once.

scikit-learn computes these for one sample; the bootstrap needs them for thousands of draws. A test compares the two.
"""

from __future__ import annotations

import numpy as np

LEAST_PROBABILITY = 1e-12  # of the true grade: a confident wrong prediction costs 27.6, not infinity


def confusion(grades: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int = 3) -> np.ndarray:
    """(draws, K, K): weight of the cases of grade i (row) that were predicted as j (column).

    grades, predicted: (n,) indices below `classes`; weights: (draws, n).
    """
    cell = np.eye(classes * classes)[grades * classes + predicted]
    return (weights @ cell).reshape(len(weights), classes, classes)


def table_measures(table: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, balanced accuracy, macro precision, recall and F1 (equations 19 to 22 of arXiv 2508.02104), and
    quadratic kappa (Cohen 1968): each (draws,) from (draws, K, K).

    The precision of a class that is never predicted is 0, as in scikit-learn. A mean over the classes is NaN if one of
    them has no case; kappa is NaN if all cases have the same class and were predicted as it. Balanced accuracy is macro
    recall by definition; both are reported because both names are in use.
    """
    right = np.diagonal(table, axis1=1, axis2=2)
    there, called = table.sum(axis=2), table.sum(axis=1)
    total = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / there
        precision = np.where(called > 0, right / called, 0.0)
        f1 = 2 * right / (there + called)
        disagreement = np.square(np.subtract.outer(np.arange(table.shape[1]), np.arange(table.shape[1])))
        by_chance = there[:, :, None] * called[:, None, :] / total[:, None, None]
        kappa = 1 - (disagreement * table).sum(axis=(1, 2)) / (disagreement * by_chance).sum(axis=(1, 2))
    defined = (there > 0).all(axis=1)
    return {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": recall.mean(axis=1),
        "macro_precision": np.where(defined, precision.mean(axis=1), np.nan),
        "macro_recall": recall.mean(axis=1),
        "macro_f1": np.where(defined, f1.mean(axis=1), np.nan),
        "quadratic_kappa": kappa,
    }


def brier_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): sum_c (p_c - y_c)^2 of each case (Brier 1950), 0 to 2."""
    return np.square(probabilities - np.eye(probabilities.shape[1])[grades]).sum(axis=1)


def nll_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): -ln p of the true grade, with p clipped from below to `LEAST_PROBABILITY`."""
    return -np.log(np.maximum(probabilities[np.arange(len(grades)), grades], LEAST_PROBABILITY))
