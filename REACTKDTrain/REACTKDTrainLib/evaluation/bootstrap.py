"""The stratified bootstrap over patients, as weights: how often each case was drawn."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import UsageError


def bootstrap_weights(
    grades: np.ndarray, patients: np.ndarray | None = None, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """(draws, n) counts, int32 (Efron 1979). Patients are drawn with replacement within their grade, cases come along.

    grades: (n,). patients: (n,) names, or None when each case is a patient of its own. A patient whose cases have
    several grades belongs to the stratum of just these grades, so a grade that is there is in every draw. The same
    grades, patients and seed give the same weights: comparisons are paired.

    Raises: UsageError for fewer than one draw, a seed below 0, and see `strata`.
    """
    if draws < 1:
        raise UsageError(f"A bootstrap needs at least one draw, not {draws}.")
    if seed < 0:
        raise UsageError(f"The seed of a bootstrap is {seed}; give 0 or more.")
    patient, stratum = strata(grades, patients)
    rng = np.random.default_rng(seed)
    counts = np.zeros((draws, len(stratum)), dtype=np.int32)
    for s in range(stratum.max(initial=-1) + 1):
        own = np.flatnonzero(stratum == s)
        counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=draws)
    return counts[:, patient]


def strata(grades: np.ndarray, patients: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each case's patient (n,), and of each patient the number of its stratum.

    Patients of the same grades are a stratum. Raises: UsageError for names that are not one per case.
    """
    grades = np.asarray(grades)
    names = np.arange(len(grades)) if patients is None else np.asarray(patients)
    if names.shape != grades.shape:
        raise UsageError(f"There are {len(grades)} grades; give one patient for each, not {names.shape}.")
    _, patient = np.unique(names, return_inverse=True)
    _, grade = np.unique(grades, return_inverse=True)
    has_grade = np.zeros((patient.max(initial=-1) + 1, grade.max(initial=-1) + 1), dtype=bool)
    has_grade[patient, grade] = True
    _, stratum = np.unique(has_grade, axis=0, return_inverse=True)
    return patient, stratum.ravel()  # some releases of NumPy return a column


def linear_error(influence: np.ndarray, grades: np.ndarray, patients: np.ndarray | None = None) -> float:
    """Standard error of a statistic under `bootstrap_weights`, without drawing: that of the sum of its influences.

    influence: (n,), how much each case moves the statistic, such as `auc.macro_auc_influence`. Each stratum's sum over
    its k patients varies by k / (k - 1) times the sum of squares about their mean; a patient alone in its stratum is in
    every draw. Not a number where an influence is none. Raises: UsageError, see `strata`.
    """
    patient, stratum = strata(grades, patients)
    of_patient = np.bincount(patient, weights=influence, minlength=len(stratum))
    variance = 0.0
    for s in range(stratum.max(initial=-1) + 1):
        own = of_patient[stratum == s]
        variance += float(np.square(own - own.mean()).sum()) * len(own) / max(len(own) - 1, 1)
    return float(np.sqrt(variance))


def crossed_weights(grades: np.ndarray, places: int, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """(draws, places, n) counts for n questions that are asked at each of some places, such as lesions in scans.

    Cases that share a question or a place are no independent patients. Both are drawn with replacement, questions
    within their grade, and a case counts as often as the two together: the interval covers other questions at other
    places, and errs on the wide side (the pigeonhole bootstrap, Owen 2007). One place alone says nothing of others.
    The same grades and seed draw the same questions, whatever the places are: comparisons are paired.

    grades: (n,) of the questions. Raises: UsageError for no place, and see `bootstrap_weights`.
    """
    if places < 1:
        raise UsageError("A bootstrap over places needs at least one of them.")
    of_question = bootstrap_weights(grades, None, draws, seed)
    rng = np.random.default_rng([seed, places])
    of_place = rng.multinomial(places, np.full(places, 1 / places), size=draws)
    return of_place[:, :, None] * of_question[:, None, :]


def interval95(values: np.ndarray) -> list[float] | None:
    """The 2.5th and 97.5th percentile of draws (n,); None where one is not a number, or there is none."""
    values = np.asarray(values, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        return None
    return [float(v) for v in np.percentile(values, (2.5, 97.5))]
