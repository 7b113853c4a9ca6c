"""Reading a list of cases: the current position, the records of the cases, and the case in the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList, ListedCase, open_case_list
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.arrangement import Arrangement
from REACTKDLib.core.review.corrected_masks import CorrectedMasks
from REACTKDLib.core.review.readers import UNNAMED
from REACTKDLib.core.review.record import CaseReview, answer_of, failure_of
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.text import joined, quoted
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case_loader import CaseLoader
from REACTKDLib.scene.mask_saving import MaskSaving, Question
from REACTKDLib.scene.reader_marks import ReaderMarks
from REACTKDLib.scene.reader_study import ReaderStudy
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.signal import Signal

LAST = _("This is the last case of the list.")
LAST_SAVED = _("This is the last case of the list; its masks are saved.")
FIRST = _("This is the first case of the list.")


class Reading(ReaderMarks, MaskSaving):
    """One list at a time, and at most one of its cases in the scene.

    cases: the list, or None. review: what is known of it. study: see `ReaderStudy`. reader: the name under which it is
    read. index: the case at hand, or None. message: what happened, some sentences or empty; where masks are that could
    only be saved elsewhere stays among them until the list is closed. question: to be answered before anything else is
    done. quiet: what is being done need not be shown. todo_only: pass over reviewed cases. chosen: segments that the
    user chose by hand, kept with corrected masks; None leaves them to recognition.

    Signals: changed (anything to show), opened (another case is in the scene, or none), closing (the list is about to
    go; what is known of its cases can still be kept), uncovered (in a study, the reader has given the first grade, so
    the answer may be shown).
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher) -> None:
        self.dispatcher = dispatcher
        self.loader = CaseLoader(scene, dispatcher)
        self.changed, self.opened, self.closing, self.uncovered = Signal(), Signal(), Signal(), Signal()
        self.cases: CaseList | None = None
        self.review: Review | None = None
        self.study: ReaderStudy | None = None
        self.reader = UNNAMED
        self.index: int | None = None
        self._rescued: list[str] = []
        self._unkept = ""  # why edits of the current case are not saved
        self._unsaved_since: float | None = None
        self._said = ""
        self.question: Question | None = None
        self.todo_only = False
        self.arrangement = Arrangement()
        self.chosen: SegmentChoice | None = None
        self._keeping = self.quiet = False
        self._wish: Callable[[], Any] | None = None  # requested while the current case is saved
        self.masks: CorrectedMasks | None = None

    # current state

    @property
    def message(self) -> str:
        """What happened."""
        return joined(filter(None, (*self._rescued, self._unkept, self._said)))

    @message.setter
    def message(self, said: str) -> None:
        self._said = said

    @property
    def busy(self) -> bool:
        """True while a case is opened or saved, or a question is open."""
        return self.loader.busy or self.question is not None

    @property
    def current(self) -> ListedCase | None:
        """The case at hand."""
        return None if self.cases is None or self.index is None else self.cases.cases[self.index]

    def rows(self) -> list[tuple[int, ListedCase, CaseReview]]:
        """The cases to show: index in the list, entry, record.

        In reading order: see `ReaderStudy.order`.
        """
        if self.cases is None:
            return []
        every = ((n, self.cases.cases[n]) for n in self.study.order())
        known = [(n, case, self.review.of(case.id)) for n, case in every]
        shown = [row for row in known if not self.todo_only or row[2].reviewed is None or row[0] == self.index]
        return shown if self.in_study else self.arrangement.of(shown)

    def files_of(self, case: ListedCase) -> Job:
        """The files of a case, with the corrected masks where there are any."""
        return self.masks.job_with_them(case)

    # the list

    def open_list(self, path: Path | str, reader: str | None = None) -> None:
        """Open another list, after saving edits of the current case. Errors become a message.

        reader: the name under which it is read, see `read_as`; None keeps the present one.
        """
        if not self._after_keeping(lambda: self.open_list(path, reader)) and not self.busy:
            self._leave(lambda: self._open_list(Path(path), self.reader if reader is None else reader))

    def close_list(self) -> None:
        """Close the list; its case leaves the scene."""
        if self.cases is not None and not self._after_keeping(self.close_list) and not self.busy:
            self._leave(self._close_list)

    def _open_list(self, path: Path, reader: str) -> None:
        try:
            cases = open_case_list(path, self.loader.task())
        except ReactkdError as error:
            self._say(str(error))
            return
        self.reader = reader
        self._take_up(cases)

    def _take_up(self, cases: CaseList) -> None:
        if self.cases is not None:
            self._close_list()
        self.cases, self.review = cases, Review(cases.review_file)
        self.review.read_as(self.reader)
        self.masks = CorrectedMasks(self.cases, self.review)
        self.study = ReaderStudy(self.cases, self.review)
        self._say(joined(filter(None, [*self.review.take_notices(), *self._about_readers(), self._about_study()])))

    def _close_list(self) -> None:
        self.closing()
        self.study.leave()
        self._flush()
        self.loader.unload()
        self.cases = self.review = self.masks = self.index = self.study = None
        self._rescued, self._unkept, self._said = [], "", ""
        self.opened()
        self.changed()

    # going through it

    def go_to(self, index: int) -> None:
        """Open a case of the list, in place of the one at hand, whose edits are saved first."""
        if self.cases is None or (index == self.index and self.loader.present):
            return
        if self._after_keeping(lambda: self.go_to(index)) or self.busy:
            return
        self.message = ""
        self._leave(lambda: self._open(index))

    def go_on(self, step: int) -> None:
        """Open the next (1) or the one before (-1) of those shown; at the end of the list, say so.

        Moving on ends the work on a case, so the last one is saved too, although no other replaces it. If the current
        case is being saved, this follows after that.
        """
        if self._after_keeping(lambda: self.go_on(step)) or self.busy or self.cases is None:
            return
        ahead = self._ahead(step)
        if ahead:
            self.go_to(ahead[0])
        elif step > 0:
            self.message = ""
            self.keep(LAST_SAVED if self.edited else LAST)
        else:
            self._say(FIRST)

    def _ahead(self, step: int) -> list[int]:
        """Return the cases after (1) or before (-1) the current one, the nearest first; all if there is none."""
        places = [n for n, _, _ in self.rows()][::step]
        return places[places.index(self.index) + 1 :] if self.index in places else places

    def _open(self, index: int) -> None:
        self.study.leave()
        case, self._unkept = self.cases.cases[index], ""
        self.masks.note(case)
        self.loader.open(case.id, self.files_of(case), lambda error: self._opened(index, error))
        self.changed()

    def _opened(self, index: int, error: ReactkdError | None) -> None:
        if self.loader.drawn_meanwhile:
            self._leave(lambda: self._open(index))
            return
        case = self.cases.cases[index]
        self._add(self.masks.problem(case))
        self.index, self.chosen = index, None
        if error is not None:
            self.loader.unload()
            self._add(_("Case {case} cannot be opened. {error}").format(case=quoted([case.id]), error=error))
            if self.review.whole(case.id).answer is None:
                self.review.update(case.id, failure=failure_of(error.code, str(error)))
        else:
            self._add(self.loader.loaded.problem)
            self.study.begin(case.id)
            answer = self.review.whole(case.id).answer
            self.loader.graded = self.loader.stamp() if answer is not None and not answer["outdated"] else ()
        self._take_notices()
        self.opened()
        self.changed()
        self._read_ahead()

    def next_files(self) -> Job | None:
        """Return the files of the case that is probably opened next, None at the end of the list."""
        ahead = [self.cases.cases[n] for n in self._ahead(1)] if self.index is not None else []
        return self.files_of(ahead[0]) if ahead and ahead[0].job.images else None

    def _read_ahead(self) -> None:
        files = self.next_files()
        if files is not None:
            self.loader.read_ahead(files)

    # what the model says

    def record(self, report: GradeReport, holds: bool = True) -> bool:
        """Keep the model's answer for the case at hand. The same answer again changes nothing.

        holds: it belongs to the masks as drawn now. Return whether it is kept: an answer to images that differ from
        the files of the list is not, since the case will be opened from these.
        """
        if self.current is None or not self.loader.present:
            return False
        self.answer_shown()
        if self.loader.images_changed:
            self.loader.graded = ()
            return False
        self.loader.graded = self.loader.stamp() if holds else ()
        answer, known = answer_of(report), self.review.whole(self.current.id).answer
        if known is None or {**known, "at": None} != {**answer, "at": None}:
            self.review.update(self.current.id, own_masks=self.loader.edited, answer=answer, failure=None)
            self._take_notices()
        self.changed()
        return True

    # time

    def work(self) -> None:
        """Work for up to about 15 ms; call it from a timer."""
        self.dispatcher.poll()
        self.loader.work()

    def look_around(self) -> None:
        """Save edits and retry failed saves, and load changes of other windows; call it every few seconds."""
        if self.review is None:
            return
        self.keep_edits()
        if not self.busy and self.study.look():
            self._leave(self._put_away)  # another window started or ended a study
        saved = self.review.unsaved > 0 and self.review.flush()
        if self.review.refresh() or saved:
            self.message = ""
            self._take_notices()
            self.changed()

    # the end

    def before_scene_closes(self) -> None:
        """Save edits while the nodes still exist, elsewhere if necessary; the list stays open."""
        self._save_at_once()
        if self.study is not None:
            self.study.leave()
        self.loader.forget()
        self.index, self.question, self._unkept = None, None, ""
        self._keeping = self.quiet = False
        self._wish = None

    def close(self) -> None:
        """Save pending changes and end the worker. May be called twice."""
        self.before_scene_closes()
        self._flush()
        self.dispatcher.close()

    def _flush(self) -> None:
        if self.review is not None and self.review.unsaved:
            self.review.flush()

    def _take_notices(self) -> None:
        for notice in self.review.take_notices():
            self._add(notice)

    def _add(self, sentence: str) -> None:
        self._said = joined(filter(None, (self._said, sentence)))

    def _say_too(self, sentence: str) -> None:
        self._add(sentence)
        self.changed()

    def _say(self, message: str) -> None:
        self.message = message
        self.changed()
