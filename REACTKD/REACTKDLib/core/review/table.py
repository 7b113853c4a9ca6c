"""The review of a list as a CSV: one row for each case, in the list's order, for a spreadsheet or for statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.review.record import CaseReview
from REACTKDLib.core.review.review import Review

_FIRST = ("case", "state", "grade")
_REST = (
    "uncertain", "outdated", "inputs", "lesions", "tumor_ml", "findings", "reader", "reader_grade", "difficulty",
    "comment", "reviewed", "corrected_masks", "model", "model_version", "device", "graded_at", "error", "reason",
)  # fmt: skip


def review_csv(cases: CaseList, review: Review, hidden_too: bool = False) -> str:
    """Return the table of the review's reader.

    Probabilities are columns p_<class>, for every class in a result. hidden_too: include results that a reader study
    hides.
    """
    find = review.whole if hidden_too else review.of
    records = [(case.id, find(case.id)) for case in cases.cases]
    classes = list(dict.fromkeys(name for _, record in records for name in _probabilities(record)))
    columns = [*_FIRST, *(f"p_{name}" for name in classes), *_REST]
    rows = (_row(case_id, record, classes) | {"reader": review.reader} for case_id, record in records)
    return table_text([columns, *([row.get(name) for name in columns] for row in rows)])


def _probabilities(record: CaseReview) -> dict[str, float]:
    return dict((record.answer or {}).get("probabilities") or {})


def _row(case_id: str, record: CaseReview, classes: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "case": case_id,
        "state": "failed" if record.failure is not None and record.reviewed is None else record.state,
        "reader_grade": record.reader_grade or "",
        "difficulty": (record.difficulty or {}).get("level", ""),
        "comment": (record.comment or {}).get("text", ""),
        "reviewed": _yes(record.reviewed is not None),
        "corrected_masks": _yes(record.masks is not None),
    }
    if record.failure is not None:  # the last attempt failed: an earlier result is not shown
        return row | {"error": record.failure["code"], "reason": record.failure["reason"]}
    answer = record.answer
    if answer is None:
        return row
    known = _probabilities(record)
    return row | {
        "grade": answer["grade"] or "",
        **{f"p_{name}": f"{known[name]:.4f}" for name in classes if name in known},
        "uncertain": _yes(answer["uncertain"]),
        "outdated": _yes(answer["outdated"]),
        "inputs": "+".join(answer["inputs"]),
        "lesions": answer.get("lesions", ""),
        "tumor_ml": answer.get("tumor_ml", ""),
        "findings": " ".join(sorted({finding["code"] for finding in answer["findings"]})),
        "model": answer["model"]["name"],
        "model_version": answer["model"]["version"],
        "device": answer["device"],
        "graded_at": answer["at"],
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
