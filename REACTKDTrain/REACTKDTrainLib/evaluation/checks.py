"""Checks of the input of every measure: invalid input gives an error message instead of a wrong number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES

ROUNDING = 1e-12  # standard errors below it are rounding errors


def checked(
    grades: np.ndarray, probabilities: np.ndarray, classes: Sequence[str] = GRADES
) -> tuple[np.ndarray, np.ndarray]:
    """Return grades (n,) as int64 indices of `classes` and probabilities (n, K) as float64, rows that sum to 1.

    Raises: UsageError without cases, for shapes that do not match, and for invalid values.
    """
    grades, probabilities = np.asarray(grades), np.asarray(probabilities, dtype=np.float64)
    if grades.ndim != 1 or probabilities.shape != (len(grades), len(classes)) or not len(grades):
        raise UsageError(
            f"Measures need grades (n,) and probabilities (n, {len(classes)}) of at least one case, "
            f"not {grades.shape} and {probabilities.shape}."
        )
    if not np.isin(grades, range(len(classes))).all():
        *before, last = (f"{n} ({name})" for n, name in enumerate(classes))
        raise UsageError(f"A grade is not {', '.join(before)} or {last}; leave out the cases without a grade.")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise UsageError("A probability is negative or not a number; look at what the network gave for each case.")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise UsageError("Probabilities do not sum to 1 for each case; give them after the softmax.")
    return grades.astype(np.int64), probabilities


def checked_binary(positive: np.ndarray, *scores: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return positive (n,) as bool and each of `scores` (n,) as float64, finite.

    Raises: UsageError without cases, for shapes that do not match, and for invalid values.
    """
    positive = np.asarray(positive)
    if positive.ndim != 1 or not len(positive) or not np.isin(positive, (0, 1)).all():
        raise UsageError("Outcomes must be true or false, one for each of at least one case.")
    out = [np.asarray(s, dtype=np.float64) for s in scores]
    if any(s.shape != positive.shape for s in out):
        raise UsageError(f"There are {len(positive)} outcomes; give one score for each, not {[s.shape for s in out]}.")
    if not all(np.isfinite(s).all() for s in out):
        raise UsageError("A score is not a number; look at what the network gave for each case.")
    return (positive.astype(bool), *out)


def patient_names(cases: int, patients: Sequence | np.ndarray | None) -> np.ndarray:
    """Return the patient of each case (n,); None: each case is a separate patient.

    Raises: UsageError unless there is one name per case.
    """
    names = np.arange(cases) if patients is None else np.asarray(patients)
    if names.shape != (cases,):
        raise UsageError(f"There are {cases} cases; give one patient for each, not {names.shape}.")
    return names


def number_or_none(value: float) -> float | None:
    """Return a number for JSON, which has no NaN: None if the value is undefined."""
    return float(value) if np.isfinite(value) else None
