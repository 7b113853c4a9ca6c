"""The review of a list: results and the readers' marks, in one file beside the list, written after each change.

Several readers and several windows may review one list. Each change is one part of one case by one reader, applied to
the current content of the file, so readers and windows do not undo each other's changes. If two windows of one reader
change the same value, the later one wins, the earlier one is kept in the file ("superseded"), and a notice reports it.
Of two first grades in a reader study the earlier wins, since the later one may have been given after seeing the model's
result.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.review.conflicts import settle
from REACTKDLib.core.review.file import SCHEMA, read_review, review_text
from REACTKDLib.core.review.readers import UNNAMED
from REACTKDLib.core.review.record import OF_MODEL, OF_READER, PARTS, CaseReview
from REACTKDLib.core.review.shapes import as_plain
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_bytes, write_text
from REACTKDLib.core.writing.file_lock import Locked, locked, prepare
from REACTKDLib.core.writing.stamps import stamp_of

__all__ = ["NOT_SAVED", "SCHEMA", "Review", "now"]
NOT_SAVED = _(
    "The review cannot be saved beside the list; you can continue, but grades and marks are "
    "lost when Slicer closes. Copy the list to a folder that you can write to."
)
_BUSY = _("Another window is writing the review; the change is saved in a moment.")
_NEWER = _(
    "The review of this list was written by a newer version of REACTKD; it is not changed, and nothing is saved."
)


def now() -> str:
    """The time as it is written: UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_NOTHING_KNOWN = CaseReview()  # shared, since a list of a thousand cases is queried at every refresh


class Review:
    """The review of one list, as one of its readers sees it.

    reader: whose marks are shown and set; see `read_as`. problem: one sentence while changes cannot be saved, else
    empty. `take_notices` returns messages to show once. Every change is kept in memory if the disk fails, and saved as
    soon as possible.
    """

    def __init__(self, path: Path) -> None:
        """Read the review at `path`; it need not exist. Nothing is raised: faults become a notice or a problem."""
        self.path = Path(path)
        self.problem = ""
        self.reader = UNNAMED
        self._hides = False
        self._writer = uuid4().hex[:12]
        self._in_file: dict[str, CaseReview] = {}
        self._records: dict[str, CaseReview] = {}
        self._lines: dict[str, tuple[CaseReview, str]] = {}  # as last written
        self._seen_records: dict[str, tuple[CaseReview, CaseReview]] = {}  # record -> as this reader sees it
        self._pending: dict[tuple[str, str, str], Mapping[str, Any] | None] = {}  # by (case, reader, part)
        self._owed: list[tuple[str, Mapping[str, Any]]] = []  # entries of "superseded" that are not yet in the file
        self._notices: list[str] = []
        self._seen: tuple[int, str] = (0, "")
        self._stamp: tuple[int, int, int] | None = None
        self._newer = self._unreadable = self._opened = False
        self._damaged: bytes | None = None  # the content of a damaged file until it was saved elsewhere
        prepare()
        self._take(self._read())
        self._look_again()
        self._opened = True
        if self._damaged is not None:
            self.flush()

    @property
    def cases(self) -> Mapping[str, CaseReview]:
        """The records of all readers, by case id; also of cases that are no longer in the list."""
        return MappingProxyType(self._records)

    def read_as(self, reader: str) -> None:
        """Show and set the marks of this reader from now on; see `readers.reader_name`.

        Pending changes keep their reader.
        """
        self.reader = reader
        self._seen_records = {}

    def hide_answers(self, hides: bool) -> None:
        """Hide the model's result from the reader until the first grade is given: see `review.study`."""
        self._hides = hides

    def hides_answer(self, case_id: str) -> bool:
        """Return True while the reader may not see the model's result for a case; decided only here."""
        return self._hides and self.whole(case_id).unaided is None

    def of(self, case_id: str) -> CaseReview:
        """Return what the reader may see of a case."""
        return self.whole(case_id).without_answer() if self.hides_answer(case_id) else self.whole(case_id)

    def record(self, case_id: str) -> CaseReview:
        """Return everything that is known of a case, of all readers."""
        return self._records.get(case_id, _NOTHING_KNOWN)

    def whole(self, case_id: str) -> CaseReview:
        """Return the reader's own record of a case, with the model's result even if it is hidden."""
        record = self.record(case_id)
        known = self._seen_records.get(case_id)
        if known is None or known[0] is not record:
            known = self._seen_records[case_id] = record, record.seen_by(self.reader)
        return known[1]

    def readers(self) -> list[str]:
        """The readers with any marks, by name; the unnamed one is ""."""
        names = {name for record in self._records.values() for name, own in record.readers.items() if own}
        unnamed = any(record.part(part) for record in self._records.values() for part in OF_READER)
        return sorted(names | ({UNNAMED} if unnamed else set()))

    @property
    def unsaved(self) -> int:
        """Number of changes that are not in the file yet."""
        return len(self._pending) + len(self._owed) + (self._damaged is not None)

    def take_notices(self) -> list[str]:
        """Return the messages for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def update(self, case_id: str, own_masks: bool = False, **parts: Mapping[str, Any] | None) -> bool:
        """Set parts of a case (see `record.PARTS`; None removes one); return whether they are saved.

        own_masks: the model's result is for masks that this reader has drawn but not saved yet. The time is added.

        Raises: ValueError for another part.
        """
        unknown = set(parts) - set(PARTS)
        if unknown:
            raise ValueError(f"There is no part {sorted(unknown)[0]!r}; the parts are {PARTS}.")
        at = now()
        record = self.record(case_id)
        own = own_masks or parts.get("masks") is not None or record.keeps_own_answer(self.reader)
        for part, value in parts.items():
            reader = UNNAMED if part in OF_MODEL and not own else self.reader
            self._pending[case_id, reader, part] = None if value is None else as_plain({**value, "at": at})
        return self.flush()

    def flush(self) -> bool:
        """Save pending changes; return True if none remain. Never raises for disk errors."""
        if self.unsaved and not self._newer:
            try:
                self._save()
            except Locked:
                self.problem = _BUSY
            except (OSError, OutputNotWritable):
                self.problem = NOT_SAVED
        self._look_again()
        return not self.unsaved

    def refresh(self) -> bool:
        """Load changes of other windows; return whether there were any. Costs one file system check."""
        if self._newer or stamp_of(self.path) == self._stamp:
            return False
        before, read = dict(self._records), self._read()
        self._take(read)
        self._look_again()
        if self._damaged is not None:
            self.flush()
        elif read is not None and not self.unsaved:
            self.problem = ""
        return self._records != before

    # -- the file

    def _read(self) -> tuple[tuple[int, str], dict[str, CaseReview]] | None:
        """(revision, writer) and cases of the file, None if there is none (any more).

        From a damaged file everything readable is taken, and a copy is kept before it is overwritten; one that is
        unreadable is moved aside. A file that cannot be opened, or of a newer version, is not changed.
        """
        self._stamp, self._damaged, self._unreadable = stamp_of(self.path), None, False
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise OSError  # reading a pipe could block
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            self._stamp, self._unreadable, self.problem = None, True, NOT_SAVED
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
        """Save a copy of the damaged file beside it. Raises: OutputNotWritable; it is then not overwritten."""
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

    def _save(self) -> None:
        """Write pending changes to the current file. Raises: Locked, OSError, OutputNotWritable."""
        with locked(self.path):
            if stamp_of(self.path) != self._stamp:
                self._take(self._read())
            if self._unreadable:
                raise OSError
            if self._newer:
                return
            self._keep_damaged()
            self._write()
        self.problem = ""
        self._pending.clear()
        self._owed.clear()

    def _write(self) -> None:
        revision = self._seen[0] + 1
        cases = self._changed(self._in_file)
        write_text(self.path, review_text(revision, self._writer, cases, self._lines))
        self._in_file, self._seen, self._stamp = cases, (revision, self._writer), stamp_of(self.path)

    # -- the content of the file, and pending changes

    def _changed(self, cases: Mapping[str, CaseReview]) -> dict[str, CaseReview]:
        """Return `cases` with the pending changes."""
        changed = dict(cases)
        for (case_id, reader, part), value in self._pending.items():
            changed[case_id] = changed.get(case_id, CaseReview()).with_part(part, value, reader)
        for case_id, entry in self._owed:
            record = changed.get(case_id, CaseReview())
            changed[case_id] = replace(record, superseded=(*record.superseded, entry))
        return changed

    def _look_again(self) -> None:
        self._records = self._changed(self._in_file)

    def _take(self, read: tuple[tuple[int, str], dict[str, CaseReview]] | None) -> None:
        """Load changes of other windows; record the values that pending changes are about to overwrite."""
        if read is None or read[0] == self._seen:
            return
        before, (self._seen, theirs) = self._in_file, read
        if self._damaged is not None:  # lost records are still in memory
            theirs = {name: record.filled_from(before.get(name)) for name, record in theirs.items()}
        changed = [name for name, record in theirs.items() if self._differs(before.get(name, _NOTHING_KNOWN), record)]
        if changed and self._opened:
            text = _("Another window works on this list; it changed {cases}.").format(cases=quoted(changed, limit=3))
            self._notices.append(text)
        # This program never removes a case, so a case missing from the file is written again.
        self._in_file = {**before, **theirs}
        for key, value in list(self._pending.items()):
            case_id, known = key[0], before.get(key[0], _NOTHING_KNOWN)
            settled = settle(self._in_file.get(case_id, _NOTHING_KNOWN), known, *key, value)
            if settled is not None:
                self._owed.append((case_id, settled.entry))
                self._notices.append(settled.notice)
                if not settled.ours_holds:
                    del self._pending[key]

    def _differs(self, before: CaseReview, record: CaseReview) -> bool:
        """Return True if the difference is visible to this reader; other readers' marks are not."""
        return before != record and before.seen_by(self.reader) != replace(
            record.seen_by(self.reader), readers=before.readers, superseded=before.superseded
        )
