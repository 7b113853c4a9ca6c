"""AUC against scikit-learn, the bootstrap's pairing, and what a share of the way means."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from REACTKDTrainLib.release.measure import class_aucs, describe, macro_auc, paired_difference, resamples


def sample(n=400, seed=0):
    rng = np.random.default_rng(seed)
    grade = rng.choice(3, n, p=(0.25, 0.5, 0.25))
    scores = np.round(rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[grade], 1)  # rounded: with ties
    return grade, scores


def test_auc_is_scikit_learns_with_ties():
    grade, scores = sample()
    wanted = [roc_auc_score(grade == c, scores[:, c]) for c in range(3)]
    assert np.allclose(class_aucs(grade, scores), wanted)
    assert np.isclose(macro_auc(grade, scores), np.mean(wanted))


def test_resamples_keep_the_grades():
    grade, _ = sample()
    rows = resamples(grade, 20)
    for r in rows:
        assert np.array_equal(np.bincount(grade[r]), np.bincount(grade))
    assert np.array_equal(rows, resamples(grade, 20))


def test_interval_covers_and_pairing_narrows_it():
    grade, scores = sample(600)
    rng = np.random.default_rng(1)
    worse = scores + 0.5 * rng.normal(size=scores.shape)
    rows = resamples(grade, 300)
    found = paired_difference(grade, scores, worse, rows)
    low, high = found["interval95"]
    assert low < found["difference"] < high and low > 0
    alone = describe(grade, scores, rows)
    assert high - low < alone["interval95"][1] - alone["interval95"][0]
    assert paired_difference(grade, scores, scores, rows) == {"difference": 0.0, "interval95": [0.0, 0.0]}
