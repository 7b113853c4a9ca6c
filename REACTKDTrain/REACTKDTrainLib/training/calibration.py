"""Temperature scaling, fitted on the validation cases: calibrates the probabilities without changing their ranks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.student.network import Student

LEAST_CASES = 10  # fewer are too few to fit a temperature
RANGE = (0.3, 3.0)


def fit_temperature(logits: Tensor, grades: Tensor) -> float:
    """The temperature in [0.3, 3] that minimizes cross-entropy of logits (n, K) / t; 1 with fewer than ten cases."""
    if len(logits) < LEAST_CASES:
        return 1.0
    candidates = np.geomspace(*RANGE, 121)
    losses = [float(torch.nn.functional.cross_entropy(logits.double() / t, grades)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


@torch.no_grad()
def apply_temperature(student: Student, temperature: float) -> None:
    """Divide class scores and bias by the temperature, so that the contributions still add up to the logits."""
    student.head.classify.weight /= temperature
    student.head.bias /= temperature
