"""Split conformal prediction sets of grades: the threshold by hand, and the guaranteed coverage in a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.student.grade_sets import grade_set
from REACTKDTrainLib.evaluation.conformal import least_probability, measured_sets


def answers(n: int, rng: np.random.Generator, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a poorly calibrated model, and true grades."""
    grade = rng.integers(3, size=n)
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), grade] += 1.0
    p = np.exp(sharpness * logits)
    return p / p.sum(axis=1, keepdims=True), grade


def test_the_threshold_is_the_score_whose_rank_the_finite_sample_asks_for():
    """Nine cases, 80 %: the eighth smallest of the scores 1 - p, that is, the second smallest p."""
    p_true = np.array([0.9, 0.2, 0.8, 0.35, 0.7, 0.6, 0.5, 0.95, 0.4])
    p = np.stack([p_true, 1 - p_true], axis=1)
    assert least_probability(p, np.zeros(9, dtype=int), 0.8) == pytest.approx(0.35, abs=2e-6)
    assert least_probability(p, np.zeros(9, dtype=int), 0.9) == pytest.approx(0.2, abs=2e-6)
    assert least_probability(p[:8], np.zeros(8, dtype=int), 0.9) == 0.0  # 9 * 0.9 = 8.1: eight cases are too few
    for own, coverage in ((p[:0], 0.9), (p, 1.0)):
        with pytest.raises(UsageError, match="held-out cases"):
            least_probability(own, np.zeros(len(own), dtype=int), coverage)


def test_sets_contain_the_most_probable_grade_and_those_above_the_threshold():
    assert grade_set((0.2, 0.5, 0.3), 0.3) == (1, 2)
    assert grade_set((0.2, 0.5, 0.3), 0.9) == (1,)
    assert grade_set((0.2, 0.5, 0.3), 0.0) == (0, 1, 2)


@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_nine_of_ten_new_cases_are_covered_whatever_the_model_is(sharpness):
    """The mean over many calibrations; a single one varies, having only 200 cases."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        least = least_probability(*answers(200, rng, sharpness), 0.9)
        found.append(measured_sets(*answers(200, rng, sharpness), least)["coverage"]["mean"])
    assert np.mean(found) == pytest.approx(181 / 201, abs=0.005)  # three standard errors of this mean


def test_coverage_and_size_of_sets_are_measured():
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])
    found = measured_sets(p, np.array([0, 1, 0, 2]), 0.3)
    assert found["coverage"]["mean"] == 0.5 and found["size"]["mean"] == 1.5 and found["alone"] == 0.5
    # Wilson: (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); p +- z s would soon exceed 1
    assert found["coverage"]["interval95"] == pytest.approx([0.1500, 0.8500], abs=1e-4)
    assert found["size"]["interval95"] == pytest.approx([1.5 - 1.96 * 0.25, 1.5 + 1.96 * 0.25], abs=1e-4)


def test_the_interval_of_a_coverage_stays_below_one():
    p = np.tile([0.8, 0.1, 0.1], (16, 1))
    low, high = measured_sets(p, np.repeat([0, 1], [15, 1]), 0.3)["coverage"]["interval95"]
    assert 0 < low < 15 / 16 < high < 1
