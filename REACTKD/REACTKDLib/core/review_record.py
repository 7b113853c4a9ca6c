"""What a review knows of one case: the model's answer, the reader's, and where the corrected masks are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from REACTKDLib.core.report import GradeReport

State = Literal["to do", "graded", "reviewed"]
#: what may be set and taken back on its own; each is a JSON object with the time "at", or null
PARTS = ("answer", "failure", "reader", "reviewed", "masks")


@dataclass(frozen=True)
class CaseReview:
    """One case. Every part is a JSON object as in `review.schema.json`, or None.

    answer: the model's. failure: why it has none. reader: the reader's grade. reviewed: when the case was finished.
    masks: the file of the corrected masks. superseded: values that another window's took the place of.
    other: keys of later versions, kept as they are.
    """

    answer: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    reader: Mapping[str, Any] | None = None
    reviewed: Mapping[str, Any] | None = None
    masks: Mapping[str, Any] | None = None
    superseded: tuple[Mapping[str, Any], ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """How far the case is."""
        if self.reviewed is not None:
            return "reviewed"
        return "to do" if self.answer is None else "graded"

    @property
    def reader_grade(self) -> str | None:
        """The reader's grade, None while there is none."""
        return self.reader["grade"] if self.reader is not None else None

    @property
    def confidence(self) -> float | None:
        """The probability of the model's grade, None without one."""
        grade = self.answer["grade"] if self.answer is not None else None
        return None if grade is None else self.answer["probabilities"][grade]

    def with_part(self, part: str, value: Mapping[str, Any] | None) -> CaseReview:
        """Return the record with one of `PARTS` changed."""
        return replace(self, **{part: value})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        told = {"state": self.state, **{part: getattr(self, part) for part in PARTS}}
        return {**told, "superseded": list(self.superseded), **self.other}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> CaseReview:
        """Return what `to_dict` wrote. Raises: TypeError, KeyError, ValueError when `told` is not that."""
        parts = {part: told.get(part) for part in PARTS}
        for value in parts.values():
            if value is not None:
                str(value["at"])
        record = cls(
            **parts,
            superseded=tuple(told.get("superseded", ())),
            other={key: value for key, value in told.items() if key not in (*PARTS, "superseded", "state")},
        )
        if record.masks is not None:
            str(record.masks["file"])
        if record.confidence is not None:
            float(record.confidence)
        _ = record.reader_grade
        return record


def answer_of(report: GradeReport) -> dict[str, Any]:
    """Return the part "answer" of a report, without its time; `outdated`: masks were changed after it."""
    told = report.to_dict()
    lesions = [row["volume_ml"] or 0.0 for row in told["regions"] if row["kind"] == "tumor"]
    return {
        **{key: told[key] for key in ("grade", "probabilities", "uncertain", "inputs", "device")},
        "findings": [{key: finding[key] for key in ("code", "severity", "message")} for finding in told["findings"]],
        "model": {key: told["model"][key] for key in ("name", "version", "sha256")},
        "lesions": len(lesions),
        "tumor_ml": round(sum(lesions), 3),
        "outdated": False,
    }
