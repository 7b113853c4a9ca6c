"""Measures of one row of a table: the mean over seeds, with the interval of a bootstrap over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from REACTKDTrainLib.evaluation.auc import class_aucs
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.calibration import expected_calibration_error
from REACTKDTrainLib.evaluation.checks import checked
from REACTKDTrainLib.evaluation.confusion import confusion, table_measures
from REACTKDTrainLib.evaluation.proper_scores import brier_of_each, surprise_of_each

#: of `confusion.table_measures`, in the order of the paper's columns
COLUMNS = ("macro_auc", "accuracy", "macro_precision", "macro_recall", "macro_f1", "quadratic_kappa")


def measures_of(
    grades: np.ndarray, seeds: Sequence[np.ndarray], patients: np.ndarray, draws: int
) -> dict[str, dict[str, object]]:
    """name -> 'value' (mean over seeds), 'interval95', 'of_each_seed'. seeds: of each (n, 3) probabilities.

    Every seed is measured on the same draws of patients and averaged within each draw: the interval is of the mean.
    The calibration error has no interval (see `evaluation.metrics`).
    """
    weights = bootstrap_weights(grades, patients, draws)
    parts = [_of_seed(*checked(grades, p), weights) for p in seeds]
    out = {}
    for name in parts[0]:
        values = [float(part[name][0]) for part in parts]
        spread = np.mean([part[name][1] for part in parts], axis=0)
        value = float(np.mean(values))
        out[name] = {
            "value": value if np.isfinite(value) else None,
            "interval95": None if name == "ece" else interval95(spread),
            "of_each_seed": [v if np.isfinite(v) else None for v in values],
        }
    return out


def _of_seed(grades: np.ndarray, p: np.ndarray, weights: np.ndarray) -> dict[str, tuple[float, np.ndarray]]:
    predicted = p.argmax(axis=1)
    value = table_measures(confusion(grades, predicted, np.ones((1, len(grades)))))
    spread = table_measures(confusion(grades, predicted, weights))
    auc, auc_spread = class_aucs(grades, p), class_aucs(grades, p, weights)
    total = weights.sum(axis=1)
    out = {"macro_auc": (auc.mean(), auc_spread.mean(axis=1))}
    out |= {name: (value[name][0], spread[name]) for name in value}
    out |= {f"auc_{name}": (auc[c], auc_spread[:, c]) for c, name in enumerate(("well", "moderate", "poor"))}
    for name, of_each in (("brier", brier_of_each(grades, p)), ("nll", surprise_of_each(grades, p))):
        out[name] = (of_each.mean(), weights @ of_each / total)
    out["ece"] = (expected_calibration_error(grades, p), np.zeros(1))
    return out


def pooled(folds: Sequence[Mapping[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    """Cases of all folds in the order of their names: 'case', 'patient', 'grade', 'fold', 'p' (n, 3) of `name`."""
    out = {key: np.concatenate([f[key] for f in folds]) for key in ("case", "patient", "grade")}
    out["fold"] = np.concatenate([np.full(len(f["case"]), n) for n, f in enumerate(folds)])
    out["p"] = np.concatenate([f[name] for f in folds])
    order = np.argsort(out["case"], kind="stable")
    return {key: value[order] for key, value in out.items()}
