"""Temperature scaling: a known temperature is recovered, and no other fits better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from REACTKDTrainLib.evaluation.measures import nll_of_each
from REACTKDTrainLib.training.calibration import LEAST_CASES, RANGE, fit_temperature
from support.predictions import graded_predictions


def calibrated(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (n, 3), and grades drawn from their softmax."""
    draw = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(n, 3, generator=draw)
    return logits, torch.multinomial(torch.softmax(logits, dim=1), 1, generator=draw)[:, 0]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    """Logits multiplied by T are calibrated again at temperature T; 8,000 cases leave an uncertainty of about 2 %."""
    logits, grades = calibrated(8000)
    assert fit_temperature(logits * temperature, grades) == pytest.approx(temperature, rel=0.06)


def test_no_other_temperature_fits_better() -> None:
    for seed in range(5):
        grades, p = graded_predictions(40, skill=0.8, seed=seed)
        logits = torch.from_numpy(np.log(p))
        found = fit_temperature(logits, torch.from_numpy(grades))

        def loss(t: float, grades=grades, logits=logits) -> float:
            return nll_of_each(grades, torch.softmax(logits / t, dim=1).numpy()).mean()

        assert all(loss(found) <= loss(t) + 1e-9 for t in np.geomspace(*RANGE, 121))


def test_few_cases_or_perfect_ones_give_a_finite_temperature() -> None:
    grades = torch.arange(30) % 3
    certain = torch.log(torch.eye(3)[grades])
    assert fit_temperature(certain[: LEAST_CASES - 1], grades[: LEAST_CASES - 1]) == 1
    assert RANGE[0] <= fit_temperature(30 * torch.eye(3)[grades], grades) <= RANGE[1]
