"""Variance of an AUC, and a test of two AUCs on the same cases, without resampling (DeLong et al. 1988).

Cases are assumed independent; if patients have several cases, use the bootstrap over patients instead. DeLong's method
covers one class against the rest; for the macro mean over classes see `intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.auc import components
from REACTKDTrainLib.evaluation.checks import ROUNDING, checked, checked_binary

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


def delong_test(positive: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict:
    """AUC of scores a minus that of b, (n,) each, on the same cases: 'difference', 'standard_error', 'interval95', 'p'.

    Two-sided. Models with the same ranking have p = 1. If the AUCs differ but neither varies over cases (both are
    perfect, or perfectly wrong), p is None, since the normal approximation does not apply.

    Raises: UsageError, see `placements`.
    """
    (above_a, below_a), (above_b, below_b) = placements(positive, a), placements(positive, b)
    difference = float(above_a.mean() - above_b.mean())
    error = _standard_error(above_a - above_b, below_a - below_b)
    reach = _REACH * error
    if error > ROUNDING:
        p = float(2 * norm.sf(abs(difference) / error))
    else:
        p = 1.0 if abs(difference) < ROUNDING else None
    interval = [difference - reach, difference + reach]
    return {"difference": difference, "standard_error": error, "interval95": interval, "p": p}


def delong_of_each_class(
    grades: np.ndarray, a: np.ndarray, b: np.ndarray, classes: Sequence[str] = GRADES
) -> dict[str, dict | None]:
    """`delong_test` of each class against the rest; None for a class with fewer than two cases in it or outside it.

    grades: (n,); a, b: (n, K) probabilities of `classes`. Raises: UsageError, see `checked`.
    """
    (grades, a), (_, b) = checked(grades, a, classes), checked(grades, b, classes)
    sizes = [int((grades == c).sum()) for c in range(len(classes))]
    return {
        name: delong_test(grades == c, a[:, c], b[:, c]) if 2 <= sizes[c] <= len(grades) - 2 else None
        for c, name in enumerate(classes)
    }


def _standard_error(of_positives: np.ndarray, of_negatives: np.ndarray) -> float:
    """Square root of the sum of the variances of the two means."""
    return float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in (of_positives, of_negatives))))
