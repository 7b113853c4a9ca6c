"""The review of a list: results and the reader's marks, in one file beside the list, written after each change.

Two windows may review one list. Each change is one part of one case, made to what the file holds at that moment, so the
windows do not undo each other; where both changed the same thing, the later wins, the earlier is kept in the file
("superseded"), and the window is told.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.review.file import SCHEMA, read_review, review_text
from REACTKDLib.core.review.record import PARTS, CaseReview
from REACTKDLib.core.review.shapes import as_plain
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_bytes, write_text
from REACTKDLib.core.writing.file_lock import Locked, locked, prepare

__all__ = ["NOT_SAVED", "SCHEMA", "Review", "now"]
NOT_SAVED = _(
    "The review cannot be saved beside the list; work goes on, but grades and marks are "
    "lost when Slicer closes. Copy the list to a folder that you may write to."
)
_BUSY = _("Another window is writing the review; the change is saved in a moment.")
_NEWER = _(
    "The review of this list was written by a newer version of REACTKD; it is not changed, and nothing is saved."
)


def now() -> str:
    """The time as it is written: UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_NOTHING_KNOWN = CaseReview()  # one for all: a list of a thousand cases is asked for every refresh


class Review:
    """The review of one list.

    problem: one sentence while changes cannot be saved, else empty. `take_notices` gives what the user should be told
    once. Every change is kept in memory whatever the disk does, and saved as soon as it can be.
    """

    def __init__(self, path: Path, clock: Callable[[], str] = now) -> None:
        """Read the review at `path`; there need not be one. Nothing raises: what is wrong is a notice or a problem."""
        self.path = Path(path)
        self.problem = ""
        self._clock = clock
        self._writer = uuid4().hex[:12]
        self._in_file: dict[str, CaseReview] = {}
        self._cases: dict[str, CaseReview] = {}
        self._pending: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        self._notices: list[str] = []
        self._seen: tuple[int, str] = (0, "")
        self._stamp: tuple[int, int, int] | None = None
        self._newer = self._opened = False
        self._damaged: bytes | None = None  # the file as it was read, while what cannot be used of it is only there
        prepare()
        self._take(self._read())
        self._look_again()
        self._opened = True
        if self._damaged is not None:
            self.flush()

    @property
    def cases(self) -> Mapping[str, CaseReview]:
        """What is known, by case id; of cases that are no longer in the list too."""
        return MappingProxyType(self._cases)

    def of(self, case_id: str) -> CaseReview:
        """What is known of a case."""
        return self._cases.get(case_id, _NOTHING_KNOWN)

    @property
    def unsaved(self) -> int:
        """How many changes are not in the file yet."""
        return len(self._pending) + (self._damaged is not None)

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def update(self, case_id: str, **parts: Mapping[str, Any] | None) -> bool:
        """Set parts of a case (see `review_record.PARTS`; None takes one back); return whether they are saved.

        The time is added. Raises: ValueError for another part.
        """
        unknown = set(parts) - set(PARTS)
        if unknown:
            raise ValueError(f"There is no part {sorted(unknown)[0]!r}; the parts are {PARTS}.")
        at = self._clock()
        for part, value in parts.items():
            self._pending[case_id, part] = None if value is None else as_plain({**value, "at": at})
        return self.flush()

    def flush(self) -> bool:
        """Save what is not saved yet; return whether nothing is left to save. Never raises for the disk's sake."""
        if self.unsaved and not self._newer:
            try:
                with locked(self.path):
                    if self._file_stamp() != self._stamp:
                        self._take(self._read())
                    self._keep_damaged()
                    self._write()
            except Locked:
                self.problem = _BUSY
            except (OSError, OutputNotWritable):
                self.problem = NOT_SAVED
            else:
                self.problem = ""
                self._pending.clear()
        self._look_again()
        return not self.unsaved

    def refresh(self) -> bool:
        """Take over what another window wrote; return whether that was anything. Costs one look at the file."""
        if self._newer or self._file_stamp() == self._stamp:
            return False
        before = dict(self._cases)
        self._take(self._read())
        self._look_again()
        if self._damaged is not None:
            self.flush()
        return self._cases != before

    # -- the file

    def _file_stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[tuple[int, str], dict[str, CaseReview]] | None:
        """(revision, writer) and cases of the file, None where there is none (any more).

        Of a damaged one what is readable is taken, and the whole is kept beside it before it is written again; one of
        which nothing is readable steps aside.
        """
        self._stamp, self._damaged = self._file_stamp(), None
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise OSError  # a pipe would be waited for
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            self.problem = NOT_SAVED
            return None
        found = read_review(data)
        if found.newer:
            self._newer, self.problem = True, _NEWER
            return None
        if not found.whole and not found.cases:
            self._step_aside()
            return None
        if not found.whole:
            self._damaged = data
        return (found.revision, found.writer), dict(found.cases)

    def _aside(self) -> Path:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")
        return self.path.with_name(f"{self.path.stem}.damaged-{stamp}.json")

    def _step_aside(self) -> None:
        aside = self._aside()
        try:
            self.path.rename(aside)
        except OSError:
            self.problem = NOT_SAVED
        else:
            rest = _("is written again") if self._opened else _("begins anew")
            self._notices.append(
                _("The file of the review was damaged; it was kept as '{name}' and {rest}.").format(
                    name=aside.name, rest=rest
                )
            )

    def _keep_damaged(self) -> None:
        """Keep the damaged file beside. Raises: OutputNotWritable, and then it is not written over."""
        if self._damaged is None:
            return
        aside = self._aside()
        write_bytes(aside, self._damaged)
        self._damaged = None
        self._notices.append(
            _("Some of the review could not be read and was left out; the file as it was is kept as '{name}'.").format(
                name=aside.name
            )
        )

    def _write(self) -> None:
        revision = self._seen[0] + 1
        cases = self._changed(self._in_file)
        write_text(self.path, review_text(revision, self._writer, cases))
        self._in_file, self._seen, self._stamp = cases, (revision, self._writer), self._file_stamp()

    # -- what the file holds, and what waits to go into it

    def _changed(self, cases: Mapping[str, CaseReview]) -> dict[str, CaseReview]:
        """`cases` with the changes that wait."""
        changed = dict(cases)
        for (case_id, part), value in self._pending.items():
            changed[case_id] = changed.get(case_id, CaseReview()).with_part(part, value)
        return changed

    def _look_again(self) -> None:
        self._cases = self._changed(self._in_file)

    def _take(self, read: tuple[tuple[int, str], dict[str, CaseReview]] | None) -> None:
        """Take over what another window wrote; of what is about to be set over it, put it on record."""
        if read is None or read[0] == self._seen:
            return
        before, (self._seen, theirs) = self._in_file, read
        if self._damaged is not None:  # what it lost is still known here
            theirs = {name: record.filled_from(before.get(name)) for name, record in theirs.items()}
        changed = [name for name, record in theirs.items() if before.get(name, CaseReview()) != record]
        if changed and self._opened:
            text = _("Another window works on this list; it changed {cases}.").format(cases=quoted(changed, limit=3))
            self._notices.append(text)
        # This program never removes a case, so one that the file lost is put back.
        self._in_file = {**before, **theirs}
        for (case_id, part), value in self._pending.items():
            self._put_on_record(case_id, part, value, before.get(case_id, CaseReview()))

    def _put_on_record(self, case_id: str, part: str, value: Mapping[str, Any] | None, before: CaseReview) -> None:
        theirs = self._in_file.get(case_id, CaseReview())
        set_there = getattr(theirs, part)
        if set_there is None or set_there == getattr(before, part) or _same(set_there, value):
            return
        entry = {"part": part, "value": dict(set_there)}
        self._in_file[case_id] = replace(theirs, superseded=(*theirs.superseded, entry))
        self._notices.append(
            _(
                "Another window changed the {part} of case {case} at the same time; yours is kept, and "
                "the other is on record in the file of the review."
            ).format(part=_WORDS[part], case=quoted([case_id]))
        )


_WORDS = {
    "answer": _("model's grade"),
    "failure": _("reason of a failure"),
    "reader": _("reader's grade"),
    "reviewed": _("reviewed mark"),
    "masks": _("corrected masks"),
}


def _same(a: Mapping[str, Any], b: Mapping[str, Any] | None) -> bool:
    """Equal but for the time."""
    return b is not None and {**a, "at": None} == {**b, "at": None}
