"""The marks of all readers as a CSV with a row for each reading: for statistics, and for `readers study`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.review.record import OF_READER, CaseReview
from REACTKDLib.core.review.review import Review

COLUMNS = (
    "case", "reader", "place", "seed", "unaided_grade", "unaided_seconds", "aided_grade", "aided_seconds",
    "reader_grade", "difficulty", "comment", "reviewed", "corrected_masks", "graded_at", "model_grade",
)  # fmt: skip
_REST = ("model", "model_version")


def readers_csv(cases: CaseList, review: Review) -> str:
    """Return the table: cases in the list's order, readers by name, only those with marks for the case.

    The unnamed reader's cell is empty. model_grade and p_<class>: the result that was shown in a study, else that for
    this reader's masks; empty if these have changed since. Results that a study still hides are included.
    """
    rows = [_row(*reading) for reading in _readings(cases, review)]
    classes = dict.fromkeys(name for row in rows for name in row if name.startswith("p_"))
    columns = [*COLUMNS, *classes, *_REST]
    return table_text([columns, *([row.get(name) for name in columns] for row in rows)])


def _readings(cases: CaseList, review: Review) -> Iterator[tuple[str, str, CaseReview]]:
    """Yield (case, reader, record as this reader sees it)."""
    readers = review.readers()
    for case in cases.cases:
        record = review.cases.get(case.id, CaseReview())
        for reader in readers:
            if any(record.part(part, reader) is not None for part in OF_READER):
                yield case.id, reader, record.seen_by(reader)


def _row(case_id: str, reader: str, record: CaseReview) -> dict[str, Any]:
    unaided, aided = record.unaided or {}, record.aided or {}
    row: dict[str, Any] = {
        "case": case_id,
        "reader": reader,
        "place": unaided.get("place"),
        "seed": unaided.get("seed"),
        "unaided_grade": unaided.get("grade"),
        "unaided_seconds": unaided.get("seconds"),
        "aided_grade": aided.get("grade"),
        "aided_seconds": aided.get("seconds"),
        "reader_grade": record.reader_grade,
        "difficulty": (record.difficulty or {}).get("level"),
        "comment": (record.comment or {}).get("text"),
        "reviewed": "no" if record.reviewed is None else "yes",
        "corrected_masks": (record.masks or {}).get("file"),
        "graded_at": (record.aided or record.unaided or record.reader or {}).get("at"),
    }
    answer = aided.get("shown") or record.answer
    if answer is None or answer.get("outdated"):
        return row
    return row | {
        "model_grade": answer["grade"],
        **{f"p_{name}": f"{value:.4f}" for name, value in (answer["probabilities"] or {}).items()},
        "model": answer["model"]["name"],
        "model_version": answer["model"]["version"],
    }
