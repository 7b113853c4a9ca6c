"""Calibration of probabilities: reliability curves and the expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.evaluation.checks import checked, checked_binary
from REACTKDTrainLib.evaluation.intervals import share_interval95

BINS = 5  # with ten, 97 patients leave fewer than ten in a bin, which inflates the estimated error


def reliability_curve(outcome: np.ndarray, probability: np.ndarray, bins: int = BINS) -> dict[str, list]:
    """Mean predicted probability and observed frequency in bins of equal mass.

    outcome: (n,) bool; probability: (n,) predicted for it. Returns lists with one entry per bin, in ascending order:
    'stated' and 'observed' (means), 'interval95' of the observed frequency (Wilson 1927; cases taken as independent)
    and 'cases'.

    Raises: UsageError, see `checked_binary`, and for fewer than one bin.
    """
    outcome, probability = checked_binary(outcome, probability)
    count, stated, observed = bin_means(equal_mass_bins(probability, bins), probability, outcome)
    return {
        "stated": stated.tolist(),
        "observed": observed.tolist(),
        "interval95": [share_interval95(round(o * n), int(n)) for o, n in zip(observed, count)],
        "cases": count.tolist(),
    }


def calibration_error(outcome: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Sum over bins of (share of cases) x |observed - stated|, 0 to 1. Arguments, errors: see `reliability_curve`."""
    outcome, probability = checked_binary(outcome, probability)
    count, stated, observed = bin_means(equal_mass_bins(probability, bins), probability, outcome)
    return float(count @ np.abs(observed - stated) / len(outcome))


def top_label(
    grades: np.ndarray, probabilities: np.ndarray, classes: Sequence[str] = GRADES
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the most probable class is the true one (n,), and its predicted probability (n,).

    Raises: UsageError, see `checked`.
    """
    grades, probabilities = checked(grades, probabilities, classes)
    return probabilities.argmax(axis=1) == grades, probabilities.max(axis=1)


def expected_calibration_error(
    grades: np.ndarray, probabilities: np.ndarray, bins: int = BINS, classes: Sequence[str] = GRADES
) -> float:
    """`calibration_error` of the `top_label` (Guo et al. 2017, arXiv 1706.04599). Raises: UsageError."""
    return calibration_error(*top_label(grades, probabilities, classes), bins)


def equal_mass_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(n,): the bin of each case, from 0, ascending with the value (Nixon et al. 2019, arXiv 1904.01685).

    With 97 patients, some bins of equal width would be empty or hold two cases. Equal values share a bin, so the order
    of cases does not matter; without ties the sizes differ by at most one. Some bin numbers may be unused.

    Raises: UsageError for fewer than one bin.
    """
    if bins < 1:
        raise UsageError(f"Calibration needs at least one bin, not {bins}.")
    return np.floor((rankdata(values) - 0.5) * bins / len(values)).astype(np.int64)


def bin_means(bin_of: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return for the nonempty bins, ascending, the number of cases and then the mean of each column."""
    where = np.unique(bin_of, return_inverse=True)[1]
    count = np.bincount(where)
    return (count, *(np.bincount(where, weights=column) / count for column in columns))
