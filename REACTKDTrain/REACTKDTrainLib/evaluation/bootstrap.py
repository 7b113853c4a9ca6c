"""The stratified bootstrap over patients, as weights: the number of times that each case was drawn."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.evaluation.checks import patient_names


def bootstrap_weights(
    grades: np.ndarray, patients: np.ndarray | None = None, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """(draws, n) counts, int32 (Efron 1979). Patients are drawn with replacement within their grade, with all their
    cases.

    grades: (n,). patients: (n,) names, or None if each case is a separate patient. Patients whose cases have the same
    set of grades form a stratum, so every grade that is present is in every draw. The same grades, patients and seed
    give the same weights, so comparisons are paired.

    Raises: UsageError for fewer than one draw or a negative seed; see `strata`.
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
    """Return the index of each case's patient (n,), and for each patient the index of the stratum.

    Patients with the same set of grades form a stratum. Raises: UsageError unless there is one name per case.
    """
    grades = np.asarray(grades)
    _, patient = np.unique(patient_names(len(grades), patients), return_inverse=True)
    _, grade = np.unique(grades, return_inverse=True)
    has_grade = np.zeros((patient.max(initial=-1) + 1, grade.max(initial=-1) + 1), dtype=bool)
    has_grade[patient, grade] = True
    _, stratum = np.unique(has_grade, axis=0, return_inverse=True)
    return patient, stratum.ravel()  # some releases of NumPy return a column


def linear_error(influence: np.ndarray, grades: np.ndarray, patients: np.ndarray | None = None) -> float:
    """Standard error of a statistic under `bootstrap_weights`, computed without drawing: that of the sum of influences.

    influence: (n,), how much each case changes the statistic, such as `auc.macro_auc_influence`. The variance of the
    sum over a stratum of k patients is k / (k - 1) times the sum of squares about their mean; a patient alone in a
    stratum is in every draw. NaN if an influence is NaN. Raises: UsageError, see `strata`.
    """
    patient, stratum = strata(grades, patients)
    of_patient = np.bincount(patient, weights=influence, minlength=len(stratum))
    variance = 0.0
    for s in range(stratum.max(initial=-1) + 1):
        own = of_patient[stratum == s]
        variance += float(np.square(own - own.mean()).sum()) * len(own) / max(len(own) - 1, 1)
    return float(np.sqrt(variance))


def crossed_weights(grades: np.ndarray, scans: int, draws: int = 2000, seed: int = 0, scan_seed: int = 0) -> np.ndarray:
    """(draws, scans, n) counts for the lesions of n simulated patients, each inserted into several scans.

    Cases that share a patient or a scan are not independent. Both are drawn with replacement, patients within their
    grade, and the weight of a case is the product of the two counts. The interval thus generalizes to other patients in
    other scans, and is conservative (the pigeonhole bootstrap, Owen 2007). A single scan gives no information about
    others. The same grades and seed draw the same patients for any number of scans, so comparisons are paired.

    grades: (n,) of the patients. scan_seed: another value draws the scans independently, for a group of other scans
    with the same lesions. Raises: UsageError without a scan; see `bootstrap_weights`.
    """
    if scans < 1:
        raise UsageError("A bootstrap over scans needs at least one of them.")
    of_patient = bootstrap_weights(grades, None, draws, seed)
    rng = np.random.default_rng([seed, scans, scan_seed] if scan_seed else [seed, scans])
    of_scan = rng.multinomial(scans, np.full(scans, 1 / scans), size=draws)
    return of_scan[:, :, None] * of_patient[:, None, :]


def interval95(values: np.ndarray) -> list[float] | None:
    """Return the 2.5th and 97.5th percentile of draws (n,); None if one is not finite, or there are none."""
    values = np.asarray(values, dtype=np.float64)
    if not values.size or not np.isfinite(values).all():
        return None
    return [float(v) for v in np.percentile(values, (2.5, 97.5))]
