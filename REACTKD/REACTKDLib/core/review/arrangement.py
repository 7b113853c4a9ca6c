"""In which order the cases of a list are shown and gone through, and which of them."""

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
    """What the reader asks of the list.

    search: only cases whose name holds it, in any letter case. order: by confidence, the probability of the model's
    grade, or by how many findings the checks had, most first; cases without an answer, or without a grade, come last.
    Cases that are equal stay as the list has them.

    Example:
        >>> Arrangement("hcc", "least certain").of(rows)
    """

    search: str = ""
    order: Order = "listed"

    def of(self, rows: Sequence[Row]) -> list[Row]:
        """Return those rows that are asked for, in order."""
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
