"""What a review knows of one case: the model's answer, the reader's, and where the corrected masks are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from REACTKDLib.core.findings import to_entry
from REACTKDLib.core.review.shapes import fits, is_plain, is_superseded
from REACTKDLib.core.text import Text, packed

if TYPE_CHECKING:
    from REACTKDLib.core.reports.report import GradeReport

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

    def filled_from(self, before: CaseReview | None) -> CaseReview:
        """Return the record with what it lacks from an older one."""
        if before is None:
            return self
        return replace(self, **{part: getattr(before, part) for part in PARTS if getattr(self, part) is None})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        entry = {"state": self.state, **{part: getattr(self, part) for part in PARTS}}
        return {**entry, "superseded": list(self.superseded), **self.other}

    @classmethod
    def read(cls, entry: Any) -> tuple[CaseReview, bool]:
        """Return what can be used of what `to_dict` wrote, and whether that is all of it. Raises nothing.

        Keys of later versions are kept where they can be written again.
        """
        if not isinstance(entry, dict):
            return cls(), False
        parts = {part: entry[part] for part in PARTS if entry.get(part) is not None}
        kept = {part: value for part, value in parts.items() if fits(part, value)}
        if "answer" in kept and not _has_its_share(kept["answer"]):
            del kept["answer"]
        listed = entry.get("superseded", [])
        superseded = tuple(filter(is_superseded, listed)) if isinstance(listed, list) else ()
        rest = {key: value for key, value in entry.items() if key not in (*PARTS, "superseded", "state")}
        other = {key: value for key, value in rest.items() if is_plain(value)}
        whole = len(kept) == len(parts) and isinstance(listed, list) and len(superseded) == len(listed)
        return cls(**kept, superseded=superseded, other=other), whole and len(other) == len(rest)


def _has_its_share(answer: Mapping[str, Any]) -> bool:
    """True when the answer names no grade, or one of which it tells the probability."""
    return answer["grade"] is None or answer["grade"] in (answer["probabilities"] or {})


def failure_of(code: str, reason: str) -> dict[str, Any]:
    """Return the part "failure": why a case has no answer, with what the sentence was made from, for the panel."""
    return {"code": code, "reason": reason, **({"text": packed(reason)} if isinstance(reason, Text) else {})}


def answer_of(report: GradeReport) -> dict[str, Any]:
    """Return the part "answer" of a report, without its time; `outdated`: masks were changed after it."""
    entry = report.to_dict()
    lesions = [row["volume_ml"] or 0.0 for row in entry["regions"] if row["kind"] == "tumor"]
    return {
        **{key: entry[key] for key in ("grade", "probabilities", "uncertain", "inputs", "device")},
        "findings": [to_entry(replace(finding, location_ras=None)) for finding in report.findings],
        "model": {key: entry["model"][key] for key in ("name", "version", "sha256")},
        "lesions": len(lesions),
        "tumor_ml": round(sum(lesions), 3),
        "outdated": False,
    }
