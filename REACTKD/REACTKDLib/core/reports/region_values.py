"""The registry of explanation values: those of all files in `core/reports/values`."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module

import numpy as np

from REACTKDLib.core.reports import values
from REACTKDLib.core.reports.region_value import HasValues, RegionValue


def _found() -> tuple[RegionValue, ...]:
    modules = (import_module(f"{values.__name__}.{found.name}") for found in pkgutil.iter_modules(values.__path__))
    return tuple(sorted((module.VALUE for module in modules), key=lambda value: (value.rank, value.key)))


#: in the order of the panel
VALUES = _found()


def ordered(*first: str) -> tuple[RegionValue, ...]:
    """Return all values: those with the keys `first` before the others, which keep the order of the panel."""
    place = {key: n for n, key in enumerate(first)}
    return tuple(sorted(VALUES, key=lambda value: place.get(value.key, len(place))))


#: those that are displayed, in the same order
SHOWN = tuple(value for value in VALUES if not value.files_only)

#: in the order of JSON, CSV and the table node
IN_FILES = ordered("weight", "contribution")


def shown_values(rows: Sequence[HasValues]) -> tuple[RegionValue, ...]:
    """Return the displayed values that the rows of a report contain; an old report has fewer.

    All if no grade is given.
    """
    return tuple(value for value in SHOWN if any(row.value(value.key) is not None for row in rows)) or SHOWN


def plain_values(column: np.ndarray, classes: tuple[str, ...]) -> list[float | dict[str, float] | None]:
    """Return the result of `RegionValue.compute` as numbers for a report, one entry for each region; NaN becomes None.

    column: (m,), or (m, K) for K classes.
    """
    if column.ndim == 1:
        return [None if np.isnan(value) else float(value) for value in column]
    return [None if np.isnan(row).any() else dict(zip(classes, map(float, row), strict=True)) for row in column]
