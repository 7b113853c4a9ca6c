"""The order and selection of the cases of a list for display and navigation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.review.record import CaseReview

Row = tuple[int, ListedCase, CaseReview]
Order = Literal["listed", "least certain", "most certain", "findings"]
ORDERS: tuple[Order, ...] = ("listed", "least certain", "most certain", "findings")


@dataclass
class Arrangement:
    """The reader's settings for the list.

    search: only cases whose name contains it, ignoring case. order: by confidence (the probability of the model's
    grade), or by the number of findings, most first; cases without a result or without a grade are last. Equal cases
    keep the order of the list.

    Example:
        >>> Arrangement("hcc", "least certain").of(rows)
    """

    search: str = ""
    order: Order = "listed"

    def of(self, rows: Sequence[Row]) -> list[Row]:
        """Return the selected rows, in order."""
        wanted = self.search.strip().casefold()
        found = [row for row in rows if wanted in row[1].id.casefold()]
        key = _KEYS.get(self.order)
        return found if key is None else sorted(found, key=lambda row: key(row[2]))


def _certain(record: CaseReview) -> float:
    return 2.0 if record.confidence is None else record.confidence


def _uncertain(record: CaseReview) -> float:
    return 2.0 if record.confidence is None else -record.confidence


def _findings(record: CaseReview) -> int:
    return 1 if record.answer is None else -len(record.answer["findings"])


_KEYS: dict[str, Callable[[CaseReview], float]] = {
    "least certain": _certain,
    "most certain": _uncertain,
    "findings": _findings,
}
