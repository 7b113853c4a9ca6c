"""Split conformal prediction: sets of grades that contain the true grade with a given probability.

The score of a case is 1 - p of its true grade (the least ambiguous set-valued classifier, Sadinle, Lei and Wasserman
2019). With n held-out cases the threshold is the k-th smallest score, k = ceil((n + 1) coverage). The set of a new,
exchangeable case contains its grade with at least that probability, for any model (Vovk et al. 2005). Nothing is
randomized. Sets always contain the most probable grade (`core.student.grade_sets`), so they are never empty.
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
    """Return the smallest probability at which a grade is in the set; 0, that is every grade, if there are too few
    cases.

    p: (n, K) of held-out cases; grade: (n,), their true grades. Rounded down to six decimals, which can only enlarge
    sets.
    Raises: UsageError without cases, or for a coverage that is not between 0 and 1.
    """
    if not 0 < coverage < 1 or len(grade) < 1:
        raise UsageError("Sets of grades need held-out cases and a coverage between 0 and 1; give both.")
    scores = np.sort(1 - np.asarray(p, dtype=np.float64)[np.arange(len(grade)), np.asarray(grade)])
    k = ceil((len(scores) + 1) * coverage - 1e-12)
    return 0.0 if k > len(scores) else max(floor((1 - scores[k - 1]) * 1e6) / 1e6, 0.0)


def measured_sets(p: np.ndarray, grade: np.ndarray, least: float) -> dict:
    """Evaluate the sets on other cases: 'coverage' and 'size', each with 'interval95' of the mean (Wilson for the
    coverage, normal for the size), and 'alone', the share of cases with a single grade in their set.
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
