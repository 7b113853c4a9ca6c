"""Significance tests of differences between methods on the same cases, with correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.calibration import top_label
from REACTKDTrainLib.evaluation.checks import checked_binary, patient_names
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
    each class by DeLong, 'accuracy' by the exact McNemar test (with its 'difference'), all over patients.

    Raises: UsageError, see `paired_auc_difference`.
    """
    right_a, right_b = top_label(grades, a)[0], top_label(grades, b)[0]
    difference = float(right_a.mean() - right_b.mean())
    return {
        "macro_auc": paired_auc_difference(grades, a, b, patients, draws, seed),
        "auc": delong_of_each_class(grades, a, b, patients=patients),
        "accuracy": {"difference": difference, **mcnemar(right_a, right_b, patients)},
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


def mcnemar(right_a: np.ndarray, right_b: np.ndarray, patients: np.ndarray | None = None) -> dict:
    """Exact two-sided test on the cases where exactly one is correct (McNemar 1947; not the chi-square).

    right_a, right_b: (n,) bool, whether each model is correct; patients: (n,) names, or None if each case is a separate
    patient, for whom the test is binomial. The cases of a patient are not independent, so the two models are exchanged
    in all of a patient's cases together. Returns 'only_a', 'only_b' (numbers of cases) and 'p', which is 1 if the
    models never differ.

    Raises: UsageError for shapes that do not match, or without cases.
    """
    right_a, right_b = checked_binary(right_a, right_b)
    right_b = checked_binary(right_b)[0]
    only_a, only_b = right_a & ~right_b, right_b & ~right_a
    patient = np.unique(patient_names(len(right_a), patients), return_inverse=True)[1]
    net = np.bincount(patient, weights=only_a.astype(float) - only_b).astype(np.int64)
    return {"only_a": int(only_a.sum()), "only_b": int(only_b.sum()), "p": _exchange_p(net)}


def _exchange_p(net: np.ndarray) -> float:
    """Probability that the sum of `net` (m,) is at least as far from 0 if each number has either sign by chance."""
    reach = int(np.abs(net).sum())
    chance = np.ones(1)  # of each sum, from the smallest to the largest
    for size in np.abs(net[net != 0]):
        chance = (np.pad(chance, (2 * size, 0)) + np.pad(chance, (0, 2 * size))) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(int(net.sum()))
    return float(min(1.0, chance[far].sum()))


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
