"""Standard error of a share that was sampled over orders of many regions; none for exact shares."""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.student.shares import shares_of
from REACTKDLib.core.text import tr as _


def _errors(votes, predicted, _regions) -> np.ndarray:
    errors = shares_of(votes).errors
    return np.full(len(votes.weights), np.nan) if errors is None else errors[:, predicted]


VALUE = RegionValue(
    "share_error",
    _errors,
    title=_("Standard error of the share"),
    tip=_("Standard error of the share, where it was sampled; empty where it is exact."),
    choice=_("Standard error of the share"),
    legend=_("standard error, percentage points"),
    percent=True,
    files_only=True,
    rank=7,
)
