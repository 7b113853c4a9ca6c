"""All measures of one set of predictions, as metrics.json holds them."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.calibration import brier, expected_calibration_error, negative_log_likelihood

CLASSES = ("well", "moderate", "poor")
ECE_BINS = 5


def summarize(
    grades: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Measures of n cases. grades: (n,) indices of `CLASSES`; probabilities: (n, 3), rows that sum to 1.

    patients: (n,), for the bootstrap. Precision of a grade that is never predicted counts as 0, recall and F1 of one
    that is absent are left out of the mean; an AUC that is not defined is None, and 'notes' says why.

    Raises: UsageError for shapes or values that cannot be.
    """
    grades, probabilities = np.asarray(grades), np.asarray(probabilities, dtype=np.float64)
    _check(grades, probabilities)
    from sklearn.metrics import (
        accuracy_score,
        balanced_accuracy_score,
        cohen_kappa_score,
        precision_recall_fscore_support,
    )

    predicted = probabilities.argmax(axis=1)
    there = sorted(set(grades.tolist()))
    notes = [f"no case is graded {CLASSES[c]}" for c in range(3) if c not in there]
    precision, recall, f1, _ = precision_recall_fscore_support(
        grades, predicted, labels=there, average="macro", zero_division=0
    )
    weights = bootstrap_weights(grades, patients, draws, seed)
    each, spread = class_aucs(grades, probabilities), class_aucs(grades, probabilities, weights)
    several = len({*there, *predicted.tolist()}) > 1
    kappa = cohen_kappa_score(grades, predicted, weights="quadratic") if several else None
    macro = float(each.mean())
    return {
        "n": len(grades),
        "patients": len(grades) if patients is None else len(set(np.asarray(patients).tolist())),
        "grades": {name: int((grades == c).sum()) for c, name in enumerate(CLASSES)},
        "accuracy": float(accuracy_score(grades, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(grades, predicted)) if len(there) > 1 else None,
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
        "macro_auc": _number(macro),
        "macro_auc_interval95": interval95(spread.mean(axis=1)),
        "auc": {name: _number(each[c]) for c, name in enumerate(CLASSES)},
        "auc_interval95": {name: interval95(spread[:, c]) for c, name in enumerate(CLASSES)},
        "quadratic_kappa": _number(kappa),
        "brier": brier(grades, probabilities),
        "negative_log_likelihood": negative_log_likelihood(grades, probabilities),
        "ece": expected_calibration_error(grades, probabilities, ECE_BINS),
        "bootstrap_draws": draws,
        "notes": notes,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _check(grades: np.ndarray, probabilities: np.ndarray) -> None:
    if probabilities.ndim != 2 or probabilities.shape != (len(grades), len(CLASSES)) or not len(grades):
        raise UsageError(
            f"Measures need grades (n,) and probabilities (n, 3), not {grades.shape} and {probabilities.shape}."
        )
    if not np.isin(grades, range(len(CLASSES))).all():
        raise UsageError("A grade is not 0 (well), 1 (moderate) or 2 (poor).")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise UsageError("Probabilities must be numbers of 0 or more.")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise UsageError("Probabilities must sum to 1 for each case.")
