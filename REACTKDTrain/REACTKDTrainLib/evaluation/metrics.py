"""All measures of a set of predictions: those of a run (metrics.json) or a table row (several seeds)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.calibration import expected_calibration_error
from REACTKDTrainLib.evaluation.checks import checked, number_or_none, patient_names
from REACTKDTrainLib.evaluation.measures import brier_of_each, confusion, nll_of_each, table_measures

FEW_PATIENTS = 5  # per grade; fewer are repeated in every draw
#: the columns of the paper's tables
COLUMNS = ("macro_auc", "accuracy", "macro_precision", "macro_recall", "macro_f1", "quadratic_kappa")
_Measured = dict[str, tuple[float, np.ndarray]]  # name -> value of the sample, and of each draw (draws,)


def summarize(
    grades: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
    classes: Sequence[str] = GRADES,
) -> dict:
    """Measures of n cases, ready for JSON: undefined values are None, never NaN, and 'notes' gives the reason.

    grades: (n,) indices of `classes`; probabilities: (n, K), rows that sum to 1; patients: (n,) names, the units of the
    bootstrap, stratified by grade; None: each case is a patient. A key that ends in '_interval95' holds the percentile
    interval of the key before it. The calibration error has no interval: resampling repeats cases, which makes the
    error of a draw larger than that of the sample.

    Raises: UsageError for invalid shapes or values (see `checked`), or fewer than one draw.
    """
    grades, probabilities = checked(grades, probabilities, classes)
    patients = patient_names(len(grades), patients)
    weights = bootstrap_weights(grades, patients, draws, seed)
    predicted = probabilities.argmax(axis=1)
    found = _measured(grades, probabilities, weights, classes)
    out = {
        "n": len(grades),
        "patients": len(np.unique(patients)),
        "grades": {name: int((grades == c).sum()) for c, name in enumerate(classes)},
        "confusion": confusion(grades, predicted, np.ones((1, len(grades))), len(classes))[0].astype(int).tolist(),
    }
    for name, (value, spread) in found.items():
        if not name.startswith("auc_"):
            key = "negative_log_likelihood" if name == "nll" else name
            out |= {key: number_or_none(value), f"{key}_interval95": interval95(spread)}
    return out | {
        "auc": {name: number_or_none(found[f"auc_{name}"][0]) for name in classes},
        "auc_interval95": {name: interval95(found[f"auc_{name}"][1]) for name in classes},
        "ece": expected_calibration_error(grades, probabilities, classes=classes),
        "bootstrap_draws": draws,
        "notes": _notes(grades, predicted, patients, classes),
    }


def summarize_seeds(
    grades: np.ndarray, seeds: Sequence[np.ndarray], patients: np.ndarray, draws: int
) -> dict[str, dict[str, object]]:
    """name -> 'value' (mean over seeds), 'interval95', 'of_each_seed'. seeds: for each seed, probabilities (n, 3).

    All seeds are measured on the same draws of patients and averaged within each draw: the interval is that of the
    mean.
    """
    weights = bootstrap_weights(grades, patients, draws)
    pairs = [checked(grades, p) for p in seeds]
    parts = [_measured(g, p, weights) for g, p in pairs]
    out = {}
    for name in parts[0]:
        spread = interval95(np.mean([part[name][1] for part in parts], axis=0))
        out[name] = _over_seeds([float(part[name][0]) for part in parts], spread)
    return out | {"ece": _over_seeds([expected_calibration_error(g, p) for g, p in pairs], None)}


def _over_seeds(values: list[float], spread: list[float] | None) -> dict[str, object]:
    return {
        "value": number_or_none(float(np.mean(values))),
        "interval95": spread,
        "of_each_seed": [number_or_none(v) for v in values],
    }


def _measured(grades: np.ndarray, p: np.ndarray, weights: np.ndarray, classes: Sequence[str] = GRADES) -> _Measured:
    """All measures but the calibration error, for the sample and under each row of weights (draws, n)."""
    predicted = p.argmax(axis=1)
    value = table_measures(confusion(grades, predicted, np.ones((1, len(grades))), len(classes)))
    spread = table_measures(confusion(grades, predicted, weights, len(classes)))
    auc, auc_spread = class_aucs(grades, p), class_aucs(grades, p, weights)
    out: _Measured = {name: (value[name][0], spread[name]) for name in value}
    out["macro_auc"] = auc.mean(), auc_spread.mean(axis=1)
    out |= {f"auc_{name}": (auc[c], auc_spread[:, c]) for c, name in enumerate(classes)}
    for name, of_each in (("brier", brier_of_each(grades, p)), ("nll", nll_of_each(grades, p))):
        out[name] = of_each.mean(), weights @ of_each / weights.sum(axis=1)
    return out


def _notes(grades: np.ndarray, predicted: np.ndarray, patients: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return one sentence for every fact that is needed to interpret the numbers."""
    notes = []
    for c, name in enumerate(classes):
        held = len(np.unique(patients[grades == c]))
        if not held:
            text = f"No case is graded {name}: its AUC and every mean over the {_number(len(classes))} grades"
            notes.append(f"{text} are not defined.")
        elif held < FEW_PATIENTS:
            notes.append(f"Only {held} of the patients are graded {name}: intervals that rest on them are too narrow.")
        if held and not (predicted == c).any():
            notes.append(f"No case is predicted {name}: its precision counts as 0.")
    there = np.unique(grades)
    if len(there) == 1:
        notes.append(f"All cases are graded {classes[there[0]]}, so there is nothing to tell apart: no AUC is defined.")
    if len(np.unique(np.concatenate([grades, predicted]))) == 1:
        notes.append("Grades and predictions are all the same, so kappa is not defined.")
    return notes


def _number(count: int) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(count, str(count))
