"""The review's record of one case: the model's result, each reader's marks, and the file of corrected masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from REACTKDLib.core.findings import to_entry
from REACTKDLib.core.review.readers import UNNAMED
from REACTKDLib.core.review.shapes import fits, is_plain, is_superseded
from REACTKDLib.core.text import Text, packed

if TYPE_CHECKING:
    from REACTKDLib.core.reports.report import GradeReport

State = Literal["to do", "graded", "reviewed"]
OF_MODEL = ("answer", "failure")
OF_READER = ("reader", "reviewed", "masks", "comment", "difficulty", "unaided", "aided", "spent")
#: parts that can be set and removed separately; each is a JSON object with the time "at", or null
PARTS = (*OF_MODEL, *OF_READER)
_ALWAYS_WRITTEN = PARTS[:5]  # the others are written only if set


@dataclass(frozen=True)
class CaseReview:
    """One case. Every part is a JSON object as in `review.schema.json`, or None.

    answer: the model's result. failure: why there is none. reader: the reader's grade. reviewed: when the case was
    finished. masks: the file of the corrected masks. comment, difficulty: the reader's. unaided, aided: grade and
    seconds of a reader study, before and after the result was shown; spent: seconds of an unfinished reading.
    superseded: values replaced by those of another window. other: keys of later versions, kept unchanged.

    In the file these belong to the unnamed reader, and `readers` contains {name: {part: value}} of the others,
    including the model's result for their own masks. `seen_by` returns the record as one reader sees it.
    """

    answer: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    reader: Mapping[str, Any] | None = None
    reviewed: Mapping[str, Any] | None = None
    masks: Mapping[str, Any] | None = None
    comment: Mapping[str, Any] | None = None
    difficulty: Mapping[str, Any] | None = None
    unaided: Mapping[str, Any] | None = None
    aided: Mapping[str, Any] | None = None
    spent: Mapping[str, Any] | None = None
    superseded: tuple[Mapping[str, Any], ...] = ()
    readers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The progress of the case."""
        if self.reviewed is not None:
            return "reviewed"
        return "to do" if self.answer is None else "graded"

    @property
    def reader_grade(self) -> str | None:
        """The reader's grade, None if not given yet."""
        return self.reader["grade"] if self.reader is not None else None

    @property
    def confidence(self) -> float | None:
        """The probability of the model's grade, None without one."""
        grade = self.answer["grade"] if self.answer is not None else None
        return None if grade is None else self.answer["probabilities"][grade]

    def part(self, part: str, reader: str = UNNAMED) -> Mapping[str, Any] | None:
        """Return one of `PARTS` as recorded for a reader."""
        return getattr(self, part) if reader == UNNAMED else self.readers.get(reader, {}).get(part)

    def with_part(self, part: str, value: Mapping[str, Any] | None, reader: str = UNNAMED) -> CaseReview:
        """Return the record with one of `PARTS` of a reader changed."""
        if reader == UNNAMED:
            return replace(self, **{part: value})
        own = {name: known for name, known in self.readers.get(reader, {}).items() if name != part}
        return replace(self, readers={**self.readers, reader: own if value is None else {**own, part: value}})

    def keeps_own_answer(self, reader: str) -> bool:
        """Return True if the model's result for this reader is not the one for the masks of the list."""
        return reader != UNNAMED and any(
            (self.part("masks", reader), self.masks, *(self.part(name, reader) for name in OF_MODEL))
        )

    def seen_by(self, reader: str) -> CaseReview:
        """Return the record with a reader's own parts in place of the unnamed reader's.

        The result is that for the reader's own masks if there are any, else that for the masks of the list.
        """
        if reader == UNNAMED:
            return self
        own = self.readers.get(reader, {})
        model = own if self.keeps_own_answer(reader) else {part: getattr(self, part) for part in OF_MODEL}
        return replace(self, **{p: model.get(p) for p in OF_MODEL}, **{p: own.get(p) for p in OF_READER})

    def without_answer(self) -> CaseReview:
        """Return what a reader of a study may see before the grade is given."""
        return replace(self, answer=None, failure=None)

    def filled_from(self, before: CaseReview | None) -> CaseReview:
        """Return the record with missing parts taken from an older one."""
        if before is None:
            return self
        names = {**before.readers, **self.readers}
        readers = {name: {**before.readers.get(name, {}), **self.readers.get(name, {})} for name in names}
        lacking = {part: getattr(before, part) for part in PARTS if getattr(self, part) is None}
        return replace(self, **lacking, readers=readers)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        done = self.reviewed is not None or any(own.get("reviewed") for own in self.readers.values())
        parts = {part: getattr(self, part) for part in PARTS}
        written = {part: value for part, value in parts.items() if value is not None or part in _ALWAYS_WRITTEN}
        named = {"readers": {name: dict(own) for name, own in self.readers.items()}} if self.readers else {}
        entry = {"state": "reviewed" if done else self.state, **written, **named}
        return {**entry, "superseded": list(self.superseded), **self.other}

    @classmethod
    def read(cls, entry: Any) -> tuple[CaseReview, bool]:
        """Return the usable content of a `to_dict` form, and whether that is all of it. Raises nothing.

        Keys of later versions are kept if they can be written again.
        """
        if not isinstance(entry, dict):
            return cls(), False
        parts = {part: entry[part] for part in PARTS if entry.get(part) is not None}
        kept = _usable(parts)
        listed = entry.get("superseded", [])
        superseded = tuple(filter(is_superseded, listed)) if isinstance(listed, list) else ()
        readers, all_readers = _readers_in(entry.get("readers", {}))
        known = (*PARTS, "superseded", "state", "readers")
        rest = {key: value for key, value in entry.items() if key not in known}
        other = {key: value for key, value in rest.items() if is_plain(value)}
        whole = len(kept) == len(parts) and isinstance(listed, list) and len(superseded) == len(listed)
        record = cls(**kept, superseded=superseded, readers=readers, other=other)
        return record, whole and all_readers and len(other) == len(rest)


def _usable(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that fit the schema."""
    kept = {part: value for part, value in parts.items() if fits(part, value)}
    if "answer" in kept and not _states_probability(kept["answer"]):
        del kept["answer"]
    return kept


def _readers_in(entry: Any) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return the usable content of "readers", and whether that is all. Keys of later versions are kept."""
    if not isinstance(entry, dict):
        return {}, False
    readers, whole = {}, True
    for name, stated in entry.items():
        if name == UNNAMED or not isinstance(stated, dict):
            whole = False
            continue
        parts = {part: value for part, value in stated.items() if part in PARTS and value is not None}
        rest = {key: value for key, value in stated.items() if key not in PARTS and is_plain(value)}
        readers[name] = {**_usable(parts), **rest}
        absent = sum(part in PARTS and value is None for part, value in stated.items())
        whole = whole and len(readers[name]) == len(stated) - absent
    return readers, whole


def _states_probability(answer: Mapping[str, Any]) -> bool:
    """Return True if the result has no grade, or one whose probability it states."""
    return answer["grade"] is None or answer["grade"] in (answer["probabilities"] or {})


def failure_of(code: str, reason: str) -> dict[str, Any]:
    """Return the part "failure": why a case has no result, with the template and values of the sentence, for the
    panel.
    """
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
