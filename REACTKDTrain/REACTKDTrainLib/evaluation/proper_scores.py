"""Scores that only the true probabilities make best: Brier and negative log-likelihood, and what Brier is made of."""

from __future__ import annotations

import numpy as np

from REACTKDTrainLib.evaluation.bins import bin_means, equal_mass_bins
from REACTKDTrainLib.evaluation.checks import checked

LEAST_PROBABILITY = 1e-12  # of the true grade: a network that is sure and wrong costs 27.6, not infinity


def brier_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): sum_c (p_c - y_c)^2 of each case (Brier 1950), 0 to 2."""
    return np.square(probabilities - np.eye(probabilities.shape[1])[grades]).sum(axis=1)


def surprise_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): -ln p of the true grade, with p at least `LEAST_PROBABILITY`."""
    return -np.log(np.maximum(probabilities[np.arange(len(grades)), grades], LEAST_PROBABILITY))


def brier(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of `brier_of_each`. grades: (n,); probabilities: (n, 3). Raises: UsageError, see `checked`."""
    return float(brier_of_each(*checked(grades, probabilities)).mean())


def negative_log_likelihood(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of `surprise_of_each`, in nats. Raises: UsageError, see `checked`."""
    return float(surprise_of_each(*checked(grades, probabilities)).mean())


def brier_decomposition(grades: np.ndarray, probabilities: np.ndarray, bins: int = 5) -> dict[str, float]:
    """Brier = reliability - resolution + uncertainty + within_bins, summed over the classes one-vs-rest.

    reliability: squared gap of stated and observed share in each bin (0 is calibrated); resolution: how far the bins'
    shares lie from the mean one (more is better); uncertainty: of the cohort, whatever the model (Murphy 1973).
    within_bins: what is lost by treating a bin as one probability, variance less twice the covariance with the outcome
    (Stephenson, Coelho and Jolliffe 2008); it makes the sum exact. Bins of equal mass, for each class its own.

    Raises: UsageError, see `checked`, and for fewer than one bin.
    """
    grades, probabilities = checked(grades, probabilities)
    out = {"brier": brier(grades, probabilities), "reliability": 0.0, "resolution": 0.0, "uncertainty": 0.0}
    for c in range(probabilities.shape[1]):
        y, p = (grades == c).astype(np.float64), probabilities[:, c]
        bin_of = equal_mass_bins(p, bins)
        count, stated, observed = bin_means(bin_of, p, y)
        share = count / len(y)
        out["reliability"] += float(share @ np.square(stated - observed))
        out["resolution"] += float(share @ np.square(observed - y.mean()))
        out["uncertainty"] += float(y.mean() * (1 - y.mean()))
        out["within_bins"] = out.get("within_bins", 0.0) + _within(bin_of, p, y)
    return out


def _within(bin_of: np.ndarray, p: np.ndarray, y: np.ndarray) -> float:
    """Mean over cases of the square and the products of deviations from the means of the own bin."""
    where = np.unique(bin_of, return_inverse=True)[1]
    _, stated, observed = bin_means(bin_of, p, y)
    dp, dy = p - stated[where], y - observed[where]
    return float(np.mean(dp * dp - 2 * dp * dy))
