"""Scores that only the true probabilities make best: Brier and negative log-likelihood."""

from __future__ import annotations

import numpy as np

LEAST_PROBABILITY = 1e-12  # of the true grade: a network that is sure and wrong costs 27.6, not infinity


def brier_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): sum_c (p_c - y_c)^2 of each case (Brier 1950), 0 to 2."""
    return np.square(probabilities - np.eye(probabilities.shape[1])[grades]).sum(axis=1)


def surprise_of_each(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n,): -ln p of the true grade, with p at least `LEAST_PROBABILITY`."""
    return -np.log(np.maximum(probabilities[np.arange(len(grades)), grades], LEAST_PROBABILITY))
