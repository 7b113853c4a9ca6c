"""Several tests at once, without one of them coming out by chance too often."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import UsageError


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p (m,), in the order given (Holm 1979): controls the family-wise error whatever depends on what.

    The smallest is multiplied by m, the next by m - 1, and so on; none may be below the one before; at most 1.

    Raises: UsageError for anything that is not a list of numbers from 0 to 1.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise UsageError("Holm's adjustment needs a list of p-values from 0 to 1; leave out the tests that have none.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    out = np.empty_like(p)
    out[order] = np.minimum(stepped, 1.0)
    return out
