"""Is one method better than another on the same cases, and than several at once? Every test of the protocol."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from REACTKDTrainLib.evaluation.calibration import top_label
from REACTKDTrainLib.evaluation.delong import delong_of_each_class
from REACTKDTrainLib.evaluation.holm import holm
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.evaluation.mcnemar import mcnemar


def paired_tests(
    grades: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    patients: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """a against b, (n, 3) probabilities of the same cases: 'macro_auc' by paired bootstrap over patients, 'auc' of each
    class by DeLong, 'accuracy' by the exact McNemar test (with its 'difference').

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

    The p of macro AUC and of accuracy have a 'p_holm' beside them, adjusted over all the others. DeLong's, which say
    where a difference lies, stay as they are.

    Raises: UsageError, see `paired_auc_difference`.
    """
    out = {name: paired_tests(grades, own, other, patients, draws, seed) for name, other in others.items()}
    for measure in ("macro_auc", "accuracy"):
        tested = [found[measure] for found in out.values() if found[measure]["p"] is not None]
        for found, p in zip(tested, holm([t["p"] for t in tested])):
            found["p_holm"] = float(p)
    return out
