"""Probabilities brought to what is observed, fitted on cases other than those that it is applied to.

Focal loss, class weights and distillation all move probabilities; ranks may be right all the same. A decision curve
needs probabilities that mean what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.checks import checked
from REACTKDTrainLib.evaluation.proper_scores import LEAST_PROBABILITY

Method = Literal["temperature", "vector"]
METHODS = ("temperature", "vector")
PRIOR = 1.0  # pull of vector scaling toward no change, in cases; without it a separable fold has no finite answer
_LARGEST = 20.0  # of a temperature and of its inverse


@dataclass(frozen=True, eq=False)
class Recalibration:
    """p' = softmax(scale * ln p + shift). scale, shift: (3,). Scales of 1 / T and no shift are a temperature T."""

    scale: np.ndarray
    shift: np.ndarray

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """(n, 3) to (n, 3)."""
        return _softmax(self.scale * _logits(probabilities) + self.shift)


def fit_recalibration(grades: np.ndarray, probabilities: np.ndarray, method: Method = "temperature") -> Recalibration:
    """Fit by maximum likelihood. grades: (n,); probabilities: (n, 3).

    'temperature': one number, which leaves each case's ranking as it is (Guo et al. 2017, arXiv 1706.04599), from 1/20
    to 20. 'vector': a scale and a shift for each class, of ln p (Guo's vector scaling, there of logits; Kull et al.
    2019, arXiv 1910.12656, with a diagonal matrix), with a weak normal prior around no change.

    Raises: UsageError, see `checked`, and for an unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"There is no recalibration {method!r}; use one of {', '.join(METHODS)}.")
    grades, probabilities = checked(grades, probabilities)
    z = _logits(probabilities)
    return _temperature(grades, z) if method == "temperature" else _vector(grades, z)


def cross_fitted(
    grades: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray | None = None,
    method: Method = "temperature",
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Recalibrated probabilities (n, 3): each patient's by a fit to the patients of the other folds.

    Folds are stratified by grade, all cases of a patient in one of them; a grade of fewer patients makes fewer folds.
    An honest stand-in where no inner validation cases are left; where they are, fit on those.

    Raises: UsageError, see `fit_recalibration`, and for a grade with one patient, who cannot be on both sides.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    grades, probabilities = checked(grades, probabilities)
    patients = np.arange(len(grades)) if patients is None else np.asarray(patients)
    held = {GRADES[c]: len(np.unique(patients[grades == c])) for c in np.unique(grades)}
    if min(held.values()) < 2:
        raise UsageError(f"Cross-fitting needs two patients of each grade, not {held}; recalibrate on other cases.")
    splitter = StratifiedGroupKFold(min(folds, *held.values()), shuffle=True, random_state=seed)
    out = np.empty_like(probabilities)
    for fit, apply in splitter.split(probabilities, grades, patients):
        out[apply] = fit_recalibration(grades[fit], probabilities[fit], method)(probabilities[apply])
    return out


def _temperature(grades: np.ndarray, z: np.ndarray) -> Recalibration:
    """The likelihood is convex in the inverse temperature."""
    from scipy.optimize import minimize_scalar

    def loss(log_inverse: float) -> float:
        return _surprise(grades, np.exp(log_inverse) * z).mean()

    bound = np.log(_LARGEST)
    best = minimize_scalar(loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-8})
    return Recalibration(np.full(z.shape[1], np.exp(best.x)), np.zeros(z.shape[1]))


def _vector(grades: np.ndarray, z: np.ndarray) -> Recalibration:
    """Convex, with the gradient given."""
    from scipy.optimize import minimize

    n, k = z.shape
    truth, start = np.eye(k)[grades], np.concatenate([np.ones(k), np.zeros(k)])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        moved, away = at[:k] * z + at[k:], at - start
        error = _softmax(moved) - truth
        gradient = np.concatenate([(error * z).sum(axis=0), error.sum(axis=0)]) + PRIOR * away
        return (_surprise(grades, moved).sum() + PRIOR * away @ away / 2) / n, gradient / n

    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9})
    return Recalibration(best.x[:k], best.x[k:])


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _surprise(grades: np.ndarray, z: np.ndarray) -> np.ndarray:
    from scipy.special import logsumexp

    return logsumexp(z, axis=1) - z[np.arange(len(z)), grades]
