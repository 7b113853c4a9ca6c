"""The definition of an explanation value: a number for each region, and its names wherever it is shown.

A new value is one file in `core/reports/values` that contains a `VALUE`; nothing else refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from REACTKDLib.core.masks.regions import Region
from REACTKDLib.core.student.explain import Votes
from REACTKDLib.core.text import Text

Compute = Callable[[Votes, int, Sequence[Region | None]], np.ndarray]


class HasValues(Protocol):
    """A row of a report."""

    def value(self, key: str) -> float | Mapping[str, float] | None:
        """The number under a key, or one for each class."""


@dataclass(frozen=True)
class PageColumn:
    """A value on the HTML page, which is always in English.

    heading: of the column. decimals: shown. percent: shown times 100. note: below the table. {grade} in both is the
    predicted class, {baseline} in the note is its baseline.
    """

    heading: str
    decimals: int
    percent: bool = False
    note: str = ""


@dataclass(frozen=True)
class RegionValue:
    """A number for each region: its computation, and its names in the panel, the views and the files.

    key: in JSON, CSV and DICOM, and with spaces the name of its column in the table node. compute(votes, predicted,
    regions): (m,) numbers in the order of `votes.weights`, or (m, K) where `per_class`; NaN for a missing value.
    predicted: index of the predicted class. regions: m of them; None is the topology, which has no voxels. title, tip:
    of the column in the panel's table. choice: name of its colors in the panel. legend: of its colors. {grade} in these
    is the class of a `per_class` value, otherwise the predicted class. decimals: shown in the panel. percent: shown
    there times 100. unit: of its column in the table node. signed: it may be negative; colors then range from blue
    through gray to red, otherwise from gray to violet. description: of its column in the table node; empty: the tip.
    page: None: title and decimals as in the panel. overlay: name of its colors in saved scenes; empty: the key. rank:
    values are shown in this order. scale: the value at which its color scale ends in every case; None: the largest size
    among the lesions of the case. files_only: it is written to JSON, CSV, DICOM and the table node, but is neither a
    column in the panel or on the page nor a color. of_logits: a part of the logits, which an ensemble does not report
    since it has none; of other values it reports the mean.

    Example, a whole file of `core/reports/values`:
        >>> VALUE = RegionValue(
        ...     "score", lambda votes, predicted, regions: votes.scores[:, predicted],
        ...     title=_("Score"), tip=_("Logit of the predicted grade by this region alone."),
        ...     choice=_("Score of its own"), legend=_("score"), decimals=2, signed=True,
        ... )
    """

    key: str
    compute: Compute
    title: Text
    tip: Text
    choice: Text
    legend: Text
    decimals: int = 1
    percent: bool = False
    unit: str = ""
    signed: bool = False
    per_class: bool = False
    description: str = ""
    page: PageColumn | None = None
    overlay: str = ""
    scale: float | None = None
    files_only: bool = False
    of_logits: bool = False
    rank: int = 50

    @property
    def overlay_key(self) -> str:
        """The name of its colors in parameter nodes."""
        return self.overlay or self.key

    @property
    def on_page(self) -> PageColumn:
        """Its column on the HTML page."""
        return self.page or PageColumn(self.title, self.decimals, self.percent)

    def of(self, row: HasValues, grade: str | None) -> float | None:
        """Return its number for a row; None if it is not reported. grade: the class, for a value per class."""
        value = row.value(self.key)
        return value.get(grade) if isinstance(value, Mapping) else value

    def column_names(self, classes: Sequence[str], joint: str) -> dict[str, str | None]:
        """Return {column name: class that it refers to}; several columns if each class has a number."""
        words = self.key.replace("_", joint)
        return {f"{words}{joint}{name}": name for name in classes} if self.per_class else {words: None}
