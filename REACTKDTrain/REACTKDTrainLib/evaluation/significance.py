"""Significance tests of differences between methods on the same cases, with correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.calibration import top_label
from REACTKDTrainLib.evaluation.checks import checked_binary
from REACTKDTrainLib.evaluation.delong import delong_of_each_class
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference


def paired_tests(
    grades: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Compare a and b, (n, 3) probabilities of the same cases: 'macro_auc' by paired bootstrap over patients, 'auc' of
    each class by DeLong, 'accuracy' by the exact McNemar test (with its 'difference').

    Raises: UsageError, see `paired_auc_difference`.
    """
    right_a, right_b = top_label(grades, a)[0], top_label(grades, b)[0]
    difference = float(right_a.mean() - right_b.mean())
    return {
        "macro_auc": paired_auc_difference(grades, a, b, patients, draws, seed),
        "auc": delong_of_each_class(grades, a, b),
        "accuracy": {"difference": difference, **mcnemar(right_a, right_b)},
    }


def paired_tests_against(
    grades: np.ndarray,
    own: np.ndarray,
    others: Mapping[str, np.ndarray],
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, dict]:
    """`paired_tests` of `own` against each of `others`, by name.

    The p-values of macro AUC and accuracy are accompanied by 'p_holm', adjusted over all `others`. DeLong's p-values,
    which show in which class a difference lies, are not adjusted.

    Raises: UsageError, see `paired_auc_difference`.
    """
    out = {name: paired_tests(grades, own, other, patients, draws, seed) for name, other in others.items()}
    for measure in ("macro_auc", "accuracy"):
        tested = [found[measure] for found in out.values() if found[measure]["p"] is not None]
        for found, p in zip(tested, holm([t["p"] for t in tested])):
            found["p_holm"] = float(p)
    return out


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict:
    """Exact two-sided test on the cases where exactly one is correct (McNemar 1947; binomial, not the chi-square).

    right_a, right_b: (n,) bool, whether each model is correct. Returns 'only_a', 'only_b' (counts) and 'p', which is 1
    if the models never differ.

    Raises: UsageError for shapes that do not match, or without cases.
    """
    from scipy.stats import binomtest

    right_a, right_b = checked_binary(right_a, right_b)
    right_b = checked_binary(right_b)[0]
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"only_a": only_a, "only_b": only_b, "p": float(p)}


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values (m,), in the order given (Holm 1979): controls the family-wise error under any dependence.

    The smallest is multiplied by m, the next by m - 1, and so on; the result is made monotone and at most 1.

    Raises: UsageError for anything that is not a list of numbers from 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise UsageError("Holm's adjustment needs a list of p-values from 0 to 1; leave out the tests that have none.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(stepped, 1.0)
    return out
