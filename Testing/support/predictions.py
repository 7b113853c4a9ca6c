"""Synthetic grades and probabilities, such as a network might give."""

from __future__ import annotations

import numpy as np


def graded_predictions(n: int, skill: float = 1.5, seed: int = 0, digits: int | None = None) -> tuple:
    """Grades (n,) with the hospital's prevalences, all present from n = 3 on, and softmax probabilities (n, 3).

    skill: size of the true logit relative to unit noise. digits: rounds the probabilities, which creates ties.
    """
    rng = np.random.default_rng(seed)
    grades = np.concatenate([np.arange(min(n, 3)), rng.choice(3, max(n - 3, 0), p=(0.25, 0.5, 0.25))])
    z = rng.normal(size=(n, 3)) + skill * np.eye(3)[grades]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    if digits is not None:
        p = np.round(p[:, :2], digits)
        p = np.column_stack([p, 1 - p.sum(axis=1)]).clip(0)
    return grades, p
