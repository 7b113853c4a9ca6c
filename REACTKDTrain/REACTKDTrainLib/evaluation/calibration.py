"""Do probabilities mean what they say? Brier score and expected calibration error."""

from __future__ import annotations

import numpy as np


def brier(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over cases of sum_c (p_c - y_c)^2 (Brier 1950), 0 to 2. grades: (n,); probabilities: (n, K)."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[grades]).sum(axis=1).mean())


def negative_log_likelihood(grades: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -ln p of the true grade; probabilities below 1e-12 count as that."""
    return float(-np.log(np.clip(probabilities[np.arange(len(grades)), grades], 1e-12, None)).mean())


def reliability(grades: np.ndarray, probabilities: np.ndarray, bins: int = 5) -> dict[str, list[float]]:
    """Top-label reliability in bins of (nearly) equal numbers of cases: mean confidence, accuracy and count of each.

    Fewer cases than bins make as many bins as cases. Bins of equal mass (Nixon et al. 2019): with 97 cases bins of
    equal width would be empty or hold two.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == grades
    parts = [p for p in np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(grades))) if len(p)]
    return {
        "confidence": [float(confidence[p].mean()) for p in parts],
        "accuracy": [float(right[p].mean()) for p in parts],
        "cases": [len(p) for p in parts],
    }


def expected_calibration_error(grades: np.ndarray, probabilities: np.ndarray, bins: int = 5) -> float:
    """Sum over bins of share x |accuracy - confidence|, of the top label (Guo et al. 2017)."""
    told = reliability(grades, probabilities, bins)
    share = np.array(told["cases"]) / sum(told["cases"])
    return float((share * np.abs(np.array(told["accuracy"]) - np.array(told["confidence"]))).sum())
