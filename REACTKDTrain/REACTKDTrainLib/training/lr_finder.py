"""Learning rate range test: trial steps at increasing rates until the loss increases."""

from __future__ import annotations

import math
from collections.abc import Callable

STEPS = 60
_SPAN = 100.0
_SMOOTH = 0.9
_WORSE = 4.0  # a loss above this multiple of the smallest one ends the trials, as in fastai
_STILL = 8  # steps at rates too small to have an effect: their mean is the reference


def find_lr(trial: Callable[[int, float], float], lr: float) -> float:
    """Try rates from a hundredth of `lr` to a hundred times it and return a tenth of the one with the smallest loss.

    Losses are smoothed by a bias-corrected exponential mean; trials end if the loss is not finite or far above its
    minimum. The test is that of Smith 2017 (Cyclical learning rates for training neural networks, section 3.3); taking
    a tenth of the best rate is from Howard and Gugger 2020 (fastai: A layered API for deep learning).

    Args:
            trial: (step from 0, rate) -> the loss before an optimizer step at that rate.
            lr: the middle of the rates tried; returned if no rate lowers the loss.

    Example:
        >>> weight = [1.0]
        >>> def trial(step, rate):
        ...     loss = weight[0] ** 2
        ...     weight[0] -= rate * 2 * weight[0]
        ...     return loss
        >>> 0.001 < find_lr(trial, 0.01) < 0.1
        True
    """
    mean, best, chosen = 0.0, math.inf, lr
    for step in range(STEPS):
        rate = lr / _SPAN * _SPAN ** (2 * step / (STEPS - 1))
        loss = trial(step, rate)
        if not math.isfinite(loss):
            break
        mean = _SMOOTH * mean + (1 - _SMOOTH) * loss
        smooth = mean / (1 - _SMOOTH ** (step + 1))
        if step < _STILL:
            best = smooth
        elif smooth < best:
            best, chosen = smooth, rate / 10
        elif smooth > _WORSE * best:
            break
    return chosen
