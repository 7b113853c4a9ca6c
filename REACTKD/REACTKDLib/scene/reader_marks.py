"""The marks of a list's reader: name, grade, finished, comment, difficulty, and the steps of a reader study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList, ListedCase
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.review.readers import UNNAMED, same_person
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.case_loader import CaseLoader
from REACTKDLib.scene.reader_study import ReaderStudy
from REACTKDLib.scene.signal import Signal

GRADE_FIRST = _("Give your grade first and show the result; then the case can be finished.")
_UNNAMED_MARKS = _(
    "Marks that were set without a name belong to an unnamed reader; they are kept, and stand in the table of all "
    "readers."
)
_SAME_PERSON = _(
    "This list was read by {other} too; if that is you, change your name to this spelling, since every spelling is a "
    "reader of its own."
)
_STUDY = _("This list is read in a study: the model's result is shown once you have given your grade.")


class ReaderMarks:
    """The part of `scene.reading.Reading` that concerns the reader. Everything is stored in the review."""

    cases: CaseList | None
    review: Review | None
    study: ReaderStudy | None
    loader: CaseLoader
    reader: str
    index: int | None
    message: str
    busy: bool
    locked: bool
    current: ListedCase | None
    changed: Signal
    opened: Signal
    uncovered: Signal
    _after_keeping: Callable[[Callable[[], Any]], bool]
    _leave: Callable[[Callable[[], Any]], None]
    _open: Callable[[int], None]
    _take_up: Callable[[CaseList], None]
    _take_notices: Callable[[], None]
    _add: Callable[[str], None]
    _say: Callable[[str], None]

    # who reads

    def read_as(self, reader: str) -> None:
        """Continue under this name (see `core.review.readers.reader_name`); the current case is saved and opened
        again.
        """
        if reader != self.reader and not self._after_keeping(lambda: self.read_as(reader)) and not self.busy:
            self._leave(lambda: self._read_as(reader))

    def _read_as(self, reader: str) -> None:
        index, self.reader = self.index, reader
        if self.cases is None:
            self.changed()
            return
        self._take_up(replace(self.cases))  # a new object: a running batch belongs to the former reader
        if index is not None:
            self._open(index)

    def _about_readers(self) -> list[str]:
        """Return what the reader should know about the list's other readers."""
        others = self.review.readers()
        if self.reader == UNNAMED:
            return []
        other = same_person(self.reader, others)
        found = [_UNNAMED_MARKS] if UNNAMED in others else []
        return found if other is None else [*found, _SAME_PERSON.format(other=quoted([other]))]

    # marks

    def set_reader_grade(self, case_id: str, grade: str | None) -> None:
        """Store the reader's grade, None to remove it."""
        record = self.review.of(case_id)
        if record.reader_grade != grade:
            aided = self.study.parts_of(case_id, grade, record.reviewed is not None)
            self._set(case_id, reader=None if grade is None else {"grade": grade}, **aided)

    def set_reviewed(self, case_id: str, reviewed: bool) -> bool:
        """Mark a case as finished, or remove the mark; return the new state.

        In a study a case cannot be finished before the result was shown.
        """
        record = self.review.of(case_id)
        if (record.reviewed is not None) == reviewed:
            return True
        if reviewed and self.review.hides_answer(case_id):
            self._say(GRADE_FIRST)
            return False
        aided = self.study.parts_of(case_id, record.reader_grade, reviewed)
        self._set(case_id, reviewed={} if reviewed else None, **aided)
        return True

    def set_comment(self, case_id: str, text: str) -> None:
        """Store the reader's comment; an empty one removes it."""
        known = self.review.of(case_id).comment
        if text.strip() != (known or {}).get("text", ""):
            self._set(case_id, comment={"text": text.strip()} if text.strip() else None)

    def set_difficulty(self, case_id: str, level: str | None) -> None:
        """Store the difficulty of the case (see `core.review.study.DIFFICULTIES`), None to remove it."""
        known = self.review.of(case_id).difficulty
        if level != (known or {}).get("level"):
            self._set(case_id, difficulty=None if level is None else {"level": level})

    def _set(self, case_id: str, **parts: Mapping[str, Any] | None) -> None:
        self.message = ""
        self.review.update(case_id, **parts)
        self._take_notices()
        self.changed()

    # a reader study

    @property
    def in_study(self) -> bool:
        """True while the list is read in a study."""
        return self.study is not None and self.study.on

    @property
    def place(self) -> int | None:
        """The position of the current case in the reading order, from 1; None without one."""
        return None if self.index is None or self.study is None else 1 + self.study.order().index(self.index)

    def hides_answer_of(self, nodes: Any) -> bool:
        """Return True while the model's result for these nodes must not be shown: see `Review.hides_answer`.

        One image or the segmentation of the current case is enough, since a result for a part of it reveals the whole.
        """
        loaded = self.loader.loaded
        if not self.in_study or loaded is None or nodes is None:
            return False
        shared = any(node in loaded.nodes.all() for node in nodes.all())
        return shared and self.review.hides_answer(loaded.case_id)

    def answer_shown(self) -> None:
        """The model's result for the current case is shown: in a study, its seconds count from now."""
        if self.current is not None and self.loader.present:
            self.study.answered(self.current.id)

    def show_answer(self) -> None:
        """Store the current grade as the reader's own; from now on the model's result may be shown."""
        case = self.current
        if case is None or self.locked or not self.review.hides_answer(case.id):
            return
        if self.review.whole(case.id).reader_grade is None:
            self._say(GRADE_FIRST)
            return
        self._set(case.id, unaided=self.study.first_grade(case.id))
        self.uncovered()

    def start_study(self, seed: int) -> None:
        """Start a study of the list; the current case is removed from the scene, with its result."""
        if not self._after_keeping(lambda: self.start_study(seed)) and not self.busy and self.cases is not None:
            self._leave(lambda: self._change_study(lambda: self.study.start(seed)))

    def end_study(self) -> None:
        """Show results again; the current case is removed from the scene."""
        if self.in_study and not self._after_keeping(self.end_study) and not self.busy:
            self._leave(lambda: self._change_study(self.study.end))

    def _change_study(self, change: Callable[[], None]) -> None:
        self.study.leave()
        self.message = ""
        try:
            change()
        except ReactkdError as error:
            self._add(str(error))
        self._put_away()

    def _put_away(self) -> None:
        """Remove the current case from the scene: in another order, another one is next."""
        self.study.leave()
        self.loader.unload()
        self.index = None
        self._add(self._about_study())
        self.opened()
        self.changed()

    def _about_study(self) -> str:
        if not self.in_study:
            return ""
        return self.study.study.problem or _STUDY
