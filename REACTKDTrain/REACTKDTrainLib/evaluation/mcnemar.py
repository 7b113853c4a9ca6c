"""Is one model right more often than the other on the same cases?"""

from __future__ import annotations

import numpy as np

from REACTKDTrainLib.evaluation.checks import checked_binary


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict:
    """Exact two-sided test on the cases where just one is right (McNemar 1947; binomial, not the chi-square).

    right_a, right_b: (n,) bool, whether each model is right. Returns 'only_a', 'only_b' (counts) and 'p', which is 1
    where the models never differ.

    Raises: UsageError for shapes that do not fit, or no case.
    """
    from scipy.stats import binomtest

    right_a, right_b = checked_binary(right_a, right_b)
    right_b = checked_binary(right_b)[0]
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"only_a": only_a, "only_b": only_b, "p": float(p)}
