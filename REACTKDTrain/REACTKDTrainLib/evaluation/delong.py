"""A test of two AUCs on the same cases, without resampling (DeLong et al. 1988).

Patients are assumed independent; the cases of a patient are summed before the variance is computed (Obuchowski 1997).
DeLong's method covers one class against the rest; for the macro mean over classes see `intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.auc import auc_influence, components
from REACTKDTrainLib.evaluation.checks import ROUNDING, checked, checked_binary, patient_names

_REACH = float(norm.ppf(0.975))  # half width of a 95 % interval, in standard errors


def placements(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`auc.components` of checked outcomes and scores, (n,) each.

    Raises: UsageError, see `checked_binary`, and for fewer than two cases of either class.
    """
    positive, score = checked_binary(positive, score)
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise UsageError(f"DeLong's variance needs two cases on either side, not {m} and {n}; use more cases.")
    return components(positive, score)


def delong_test(positive: np.ndarray, a: np.ndarray, b: np.ndarray, patients: np.ndarray | None = None) -> dict:
    """AUC of scores a minus that of b, (n,) each, on the same cases: 'difference', 'standard_error', 'interval95', 'p'.

    Two-sided. patients: (n,) names, or None if each case is a separate patient. Models with the same ranking have
    p = 1. If the AUCs differ but neither varies over cases (both are perfect, or perfectly wrong), p is None, since the
    normal approximation does not apply.

    Raises: UsageError, see `placements` and `patient_names`, and for fewer than two patients of either class.
    """
    (above_a, _), (above_b, _) = placements(positive, a), placements(positive, b)
    positive, a, b = checked_binary(positive, a, b)
    sides = _patients_of_each_side(positive, patients)
    if min(sides) < 2:
        raise UsageError(f"DeLong's variance needs two patients on either side, not {sides[0]} and {sides[1]}.")
    difference = float(above_a.mean() - above_b.mean())
    error = _standard_error(auc_influence(positive, a) - auc_influence(positive, b), positive, patients)
    reach = _REACH * error
    if error > ROUNDING:
        p = float(2 * norm.sf(abs(difference) / error))
    else:
        p = 1.0 if abs(difference) < ROUNDING else None
    interval = [difference - reach, difference + reach]
    return {"difference": difference, "standard_error": error, "interval95": interval, "p": p}


def delong_of_each_class(
    grades: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    classes: Sequence[str] = GRADES,
    patients: np.ndarray | None = None,
) -> dict[str, dict | None]:
    """`delong_test` of each class against the rest; None for a class with fewer than two patients in it or outside it.

    grades: (n,); a, b: (n, K) probabilities of `classes`; patients: (n,) names, or None if each case is a separate
    patient. Raises: UsageError, see `checked` and `patient_names`.
    """
    (grades, a), (_, b) = checked(grades, a, classes), checked(grades, b, classes)
    return {
        name: delong_test(grades == c, a[:, c], b[:, c], patients)
        if min(_patients_of_each_side(grades == c, patients)) >= 2
        else None
        for c, name in enumerate(classes)
    }


def _standard_error(influence: np.ndarray, positive: np.ndarray, patients: np.ndarray | None) -> float:
    """Obuchowski's standard error of the sum of the influences of a difference of AUCs, (n,) (1997).

    Not that of the stratified bootstrap, in which a patient alone with cases on both sides, or on one, never varies.
    """
    names, patient = np.unique(patient_names(len(positive), patients), return_inverse=True)
    above, below = (np.bincount(patient, influence * side, len(names)) for side in (positive, ~positive))
    of_positives, of_negatives = _patients_of_each_side(positive, patients)
    variance = sum(
        k / (k - 1) * float(product.sum())
        for k, product in ((of_positives, above**2), (of_negatives, below**2), (len(names), 2 * above * below))
    )
    return float(np.sqrt(max(variance, 0.0)))  # rounding


def _patients_of_each_side(positive: np.ndarray, patients: np.ndarray | None) -> tuple[int, int]:
    """Return the number of patients with a positive case, and with a negative one."""
    names = patient_names(len(positive), patients)
    return len(np.unique(names[positive])), len(np.unique(names[~positive]))
