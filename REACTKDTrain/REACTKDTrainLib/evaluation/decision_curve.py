"""Decision curve analysis: net benefit of acting on the model, against treating everybody or nobody.

Treating from a predicted probability of t on means accepting (1 - t) / t unnecessary treatments for each necessary one,
so (Vickers and Elkin 2006)

    net benefit(t) = TP / n - FP / n * t / (1 - t)

The mean over three one-vs-rest curves has a prevalence of 1/3 in any data, so it has no clinical meaning; the primary
curve is "poor versus rest".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights
from REACTKDTrainLib.evaluation.checks import checked, checked_binary

THRESHOLDS = np.arange(5, 51) / 100


def net_benefit(
    positive: np.ndarray, probability: np.ndarray, thresholds: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Net benefit (T,), or (draws, T) with weights (draws, n).

    positive: (n,) bool; probability: (n,) of being positive, calibrated; thresholds: (T,) in [0, 1).

    Raises: UsageError, see `checked_binary`, for probabilities outside [0, 1] and for thresholds outside [0, 1).
    """
    positive, probability = checked_binary(positive, probability)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if ((probability < 0) | (probability > 1)).any():
        raise UsageError("Net benefit needs probabilities from 0 to 1; recalibrate scores first.")
    if thresholds.ndim != 1 or not ((thresholds >= 0) & (thresholds < 1)).all():
        raise UsageError("Thresholds of a decision curve lie from 0 to below 1.")
    worth = np.where(positive[:, None], 1.0, -thresholds / (1 - thresholds))  # gain per treated case, per threshold
    gained = np.where(probability[:, None] >= thresholds, worth, 0.0)
    if weights is None:
        return gained.mean(axis=0)
    return weights @ gained / weights.sum(axis=1, keepdims=True)


def treat_all(positive: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit (T,) of treating everybody: prevalence - (1 - prevalence) t / (1 - t). Treating nobody: 0."""
    return net_benefit(positive, np.ones(len(positive)), thresholds)


def graded_decision_curves(
    grades: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    grade: int = GRADES.index("poor"),
    thresholds: np.ndarray = THRESHOLDS,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Decision curves of several models for one grade versus the rest (by default "poor versus rest"), with bands of a
    bootstrap over patients that keeps the prevalence.

    grades: (n,); probabilities: name -> (n, 3) of the same cases, used as given; they must have been calibrated on
    other cases. Returns lists over thresholds: 'thresholds', 'treat_all', and under 'models' for each name
    'net_benefit', 'low' and 'high' (pointwise 95 %); also 'prevalence' and 'cases'.

    Raises: UsageError, see `checked`, `net_benefit` and `bootstrap_weights`.
    """
    own = {name: checked(grades, p)[1][:, grade] for name, p in probabilities.items()}
    positive = np.asarray(grades) == grade
    weights = bootstrap_weights(positive, patients, draws, seed)
    return {
        "thresholds": np.asarray(thresholds, dtype=np.float64).tolist(),
        "treat_all": treat_all(positive, thresholds).tolist(),
        "models": {name: _curve(positive, p, thresholds, weights) for name, p in own.items()},
        "prevalence": float(positive.mean()),
        "cases": len(positive),
    }


def _curve(positive: np.ndarray, probability: np.ndarray, thresholds: np.ndarray, weights: np.ndarray) -> dict:
    low, high = np.percentile(net_benefit(positive, probability, thresholds, weights), (2.5, 97.5), axis=0)
    value = net_benefit(positive, probability, thresholds)
    return {"net_benefit": value.tolist(), "low": low.tolist(), "high": high.tolist()}
