"""Sets of grades that hold the true one with a stated probability: split conformal prediction.

The score of a case is 1 - p of its true grade (the least ambiguous set-valued classifier, Sadinle, Lei and Wasserman
2019). With n held-out cases the threshold is the k-th smallest score, k = ceil((n + 1) coverage): a new case drawn like
them is covered with at least that probability, whatever the model is (Vovk et al. 2005). Nothing is randomized; sets
hold the likeliest grade in any case (`core.student.grade_sets`), so they are never empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.grade_sets import grade_set
from REACTKDTrainLib.evaluation.intervals import share_interval95

COVERAGE = 0.9


def least_probability(p: np.ndarray, grade: np.ndarray, coverage: float = COVERAGE) -> float:
    """The probability from which on a grade is in the set; 0, every grade, where there are too few cases.

    p: (n, K) of held-out cases, grade: (n,) their true ones. Rounded down to six decimals, which only widens sets.
    Raises: UsageError for no case, or a coverage that is not between 0 and 1.
    """
    if not 0 < coverage < 1 or len(grade) < 1:
        raise UsageError("Sets of grades need held-out cases and a coverage between 0 and 1; give both.")
    scores = np.sort(1 - np.asarray(p, dtype=np.float64)[np.arange(len(grade)), np.asarray(grade)])
    k = ceil((len(scores) + 1) * coverage - 1e-12)
    return 0.0 if k > len(scores) else max(floor((1 - scores[k - 1]) * 1e6) / 1e6, 0.0)


def measured_sets(p: np.ndarray, grade: np.ndarray, least: float) -> dict:
    """What sets are worth on other cases: 'coverage' and 'size', each with 'interval95' of the mean (Wilson's of the
    coverage, a normal one of the size), and 'alone', the share of cases with one grade in their set.
    """
    sets = [grade_set(row, least) for row in np.asarray(p, dtype=np.float64)]
    held = np.array([g in own for g, own in zip(grade, sets, strict=True)])
    size = np.array([len(own) for own in sets], dtype=np.float64)
    half = 1.96 * size.std() / np.sqrt(len(size))
    return {
        "coverage": _rounded(held.mean(), share_interval95(int(held.sum()), len(held))),
        "size": _rounded(size.mean(), size.mean() + half * np.array([-1, 1])),
        "alone": round(float((size == 1).mean()), 4),
    }


def _rounded(mean: float, interval: Sequence[float]) -> dict:
    return {"mean": round(float(mean), 4), "interval95": [round(float(v), 4) for v in interval]}
