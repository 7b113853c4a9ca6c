"""All measures of one set of predictions, as metrics.json holds them."""

from __future__ import annotations

import numpy as np

from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.calibration import expected_calibration_error
from REACTKDTrainLib.evaluation.checks import CLASSES, checked
from REACTKDTrainLib.evaluation.confusion import confusion, table_measures
from REACTKDTrainLib.evaluation.proper_scores import brier_of_each, surprise_of_each

FEW_PATIENTS = 5  # of a grade; fewer repeat themselves in every draw


def summarize(
    grades: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Measures of n cases, ready for JSON: what is not defined is None, and 'notes' says why, never NaN.

    grades: (n,) indices of `CLASSES`; probabilities: (n, 3), rows that sum to 1; patients: (n,) names, whom the
    bootstrap draws, stratified by grade; None takes each case for a patient. A key that ends in '_interval95' holds the
    percentile interval of the key before it. The calibration error has none: resampling repeats cases, which makes the
    error of a draw larger than that of the sample.

    Raises: UsageError for shapes or values that cannot be (see `checked`), or fewer than one draw.
    """
    grades, probabilities = checked(grades, probabilities)
    patients = np.arange(len(grades)) if patients is None else np.asarray(patients)
    weights = bootstrap_weights(grades, patients, draws, seed)
    predicted = probabilities.argmax(axis=1)
    return {
        "n": len(grades),
        "patients": len(np.unique(patients)),
        "grades": {name: int((grades == c).sum()) for c, name in enumerate(CLASSES)},
        **_of_the_table(grades, predicted, weights),
        **_of_the_ranks(grades, probabilities, weights),
        **_with_interval("brier", brier_of_each(grades, probabilities), weights),
        **_with_interval("negative_log_likelihood", surprise_of_each(grades, probabilities), weights),
        "ece": expected_calibration_error(grades, probabilities),
        "bootstrap_draws": draws,
        "notes": _notes(grades, predicted, patients),
    }


def _of_the_table(grades: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> dict:
    """'confusion' (rows: grade, columns: prediction) and the measures that follow from it."""
    table = confusion(grades, predicted, np.ones((1, len(grades))))
    value, spread = table_measures(table), table_measures(confusion(grades, predicted, weights))
    out = {"confusion": table[0].astype(int).tolist()}
    for name in value:
        out |= {name: _number(value[name][0]), f"{name}_interval95": interval95(spread[name])}
    return out


def _of_the_ranks(grades: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> dict:
    """AUC: the macro mean, and each class against the rest."""
    each, spread = class_aucs(grades, probabilities), class_aucs(grades, probabilities, weights)
    return {
        "macro_auc": _number(each.mean()),
        "macro_auc_interval95": interval95(spread.mean(axis=1)),
        "auc": {name: _number(each[c]) for c, name in enumerate(CLASSES)},
        "auc_interval95": {name: interval95(spread[:, c]) for c, name in enumerate(CLASSES)},
    }


def _with_interval(name: str, of_each: np.ndarray, weights: np.ndarray) -> dict:
    """The mean over cases of (n,) values."""
    spread = weights @ of_each / weights.sum(axis=1)
    return {name: float(of_each.mean()), f"{name}_interval95": interval95(spread)}


def _notes(grades: np.ndarray, predicted: np.ndarray, patients: np.ndarray) -> list[str]:
    """One sentence for everything that a reader of the numbers must know."""
    notes = []
    for c, name in enumerate(CLASSES):
        held = len(np.unique(patients[grades == c]))
        if not held:
            notes.append(f"No case is graded {name}: its AUC and every mean over the three grades are not defined.")
        elif held < FEW_PATIENTS:
            notes.append(f"Only {held} of the patients are graded {name}: intervals that rest on them are too narrow.")
        if held and not (predicted == c).any():
            notes.append(f"No case is predicted {name}: its precision counts as 0.")
    there = np.unique(grades)
    if len(there) == 1:
        notes.append(f"All cases are graded {CLASSES[there[0]]}, so there is nothing to tell apart: no AUC is defined.")
    if len(np.unique(np.concatenate([grades, predicted]))) == 1:
        notes.append("Grades and predictions are all the same, so kappa is not defined.")
    return notes


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
