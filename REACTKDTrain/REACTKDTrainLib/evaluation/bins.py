"""Bins of (nearly) equal numbers of cases."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from REACTKDLib.core.errors import UsageError


def equal_mass_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(n,): the bin of each case, from 0, ascending with the value (Nixon et al. 2019, arXiv 1904.01685).

    With 97 patients, bins of equal width would be empty or hold two. Equal values share a bin, so the order of cases
    does not matter; without ties the sizes differ by one at most. Numbers of bins may be left out.

    Raises: UsageError for fewer than one bin.
    """
    if bins < 1:
        raise UsageError(f"Calibration needs at least one bin, not {bins}.")
    return np.floor((rankdata(values) - 0.5) * bins / len(values)).astype(np.int64)


def bin_means(bin_of: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of the bins that hold a case, ascending: how many they hold, then the mean of each column there."""
    where = np.unique(bin_of, return_inverse=True)[1]
    count = np.bincount(where)
    return (count, *(np.bincount(where, weights=column) / count for column in columns))
