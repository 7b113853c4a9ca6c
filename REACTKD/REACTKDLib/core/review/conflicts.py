"""Resolves conflicts: two windows of one reader set the same value without having seen each other's change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.review.readers import UNNAMED
from REACTKDLib.core.review.record import CaseReview
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

_LATER_HOLDS = _(
    "Another window changed the {part} of case {case} at the same time; yours is kept, and the other is on record in "
    "the file of the review."
)
_FIRST_HOLDS = _(
    "The {part} of case {case} was given in another window before; that one is kept, and yours is on record in the "
    "file of the review."
)
_WORDS = {
    "answer": _("model's grade"),
    "failure": _("reason of a failure"),
    "reader": _("reader's grade"),
    "reviewed": _("reviewed mark"),
    "masks": _("corrected masks"),
    "comment": _("comment"),
    "difficulty": _("difficulty"),
    "unaided": _("grade without the model's result"),
    "aided": _("grade with the model's result"),
    "spent": _("time spent"),
}


@dataclass(frozen=True)
class Settled:
    """entry: an entry of "superseded", with the value that is discarded.

    ours_holds: our value is to be written over theirs.
    """

    entry: Mapping[str, Any]
    ours_holds: bool
    notice: str


def settle(
    theirs: CaseReview,
    before: CaseReview,
    case_id: str,
    reader: str,
    part: str,
    value: Mapping[str, Any] | None,
) -> Settled | None:
    """Return how to resolve a value that would overwrite a change of another window; None without a conflict.

    before: the record that this window saw last. The later value wins, except for "unaided": the first grade of a
    reader study was given without the model's result, a second one perhaps with it.
    """
    there = theirs.part(part, reader)
    if there is None or there == before.part(part, reader) or _same(there, value):
        return None
    first_holds = part == "unaided"
    lost = (value or {}) if first_holds else there
    entry = {"part": part, "value": dict(lost), **({"reader": reader} if reader != UNNAMED else {})}
    text = (_FIRST_HOLDS if first_holds else _LATER_HOLDS).format(part=_WORDS[part], case=quoted([case_id]))
    return Settled(entry, not first_holds, text)


def _same(a: Mapping[str, Any], b: Mapping[str, Any] | None) -> bool:
    """Return True if both are equal except for the time."""
    return b is not None and {**a, "at": None} == {**b, "at": None}
