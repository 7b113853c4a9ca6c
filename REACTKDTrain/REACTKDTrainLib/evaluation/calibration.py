"""Do probabilities mean what they say? Reliability curves and the expected calibration error."""

from __future__ import annotations

import numpy as np

from REACTKDTrainLib.evaluation.bins import bin_means, equal_mass_bins
from REACTKDTrainLib.evaluation.checks import checked, checked_binary

BINS = 5  # with ten, 97 patients leave fewer than ten in a bin, which makes the error look larger than it is


def reliability_curve(outcome: np.ndarray, probability: np.ndarray, bins: int = BINS) -> dict[str, list]:
    """Stated against observed frequency in bins of equal mass.

    outcome: (n,) bool; probability: (n,) that was given to it. Returns lists, one entry per bin in ascending order:
    'stated' and 'observed' (means), 'interval95' of the observed share (Wilson 1927; cases taken as independent) and
    'cases'.

    Raises: UsageError, see `checked_binary`, and for fewer than one bin.
    """
    from scipy.stats import binomtest

    outcome, probability = checked_binary(outcome, probability)
    count, stated, observed = bin_means(equal_mass_bins(probability, bins), probability, outcome)
    bounds = [binomtest(round(o * n), int(n)).proportion_ci(method="wilson") for o, n in zip(observed, count)]
    return {
        "stated": stated.tolist(),
        "observed": observed.tolist(),
        "interval95": [[float(b.low), float(b.high)] for b in bounds],
        "cases": count.tolist(),
    }


def calibration_error(outcome: np.ndarray, probability: np.ndarray, bins: int = BINS) -> float:
    """Sum over bins of share x |observed - stated|, 0 to 1. Arguments and errors of `reliability_curve`."""
    outcome, probability = checked_binary(outcome, probability)
    count, stated, observed = bin_means(equal_mass_bins(probability, bins), probability, outcome)
    return float(count @ np.abs(observed - stated) / len(outcome))


def top_label(grades: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the likeliest class is the true one (n,), and the probability that it was given (n,).

    Raises: UsageError, see `checked`.
    """
    grades, probabilities = checked(grades, probabilities)
    return probabilities.argmax(axis=1) == grades, probabilities.max(axis=1)


def expected_calibration_error(grades: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """`calibration_error` of the `top_label` (Guo et al. 2017, arXiv 1706.04599). Raises: UsageError."""
    return calibration_error(*top_label(grades, probabilities), bins)
