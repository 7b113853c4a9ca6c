"""Grades the cases of a list one after the other in a worker, continuing after failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from REACTKDLib.core.cases.case_list import RESULTS, CaseList, ListedCase
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.review.record import answer_of, failure_of
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.review.stored_answers import StoredAnswers
from REACTKDLib.core.review.table import review_csv
from REACTKDLib.core.text import joined, plural
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import events
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.jobs import GradeFiles, Model
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.core.writing.earlier import set_aside

_KEY = "batch"


class BatchRun:
    """One run.

    state: 'running', 'canceling', 'done' or 'canceled'. done: number of processed cases; failed: how many of them
    failed.

    cases: the list. fraction: of the whole, 0 to 1. doing: the current step. For each case, the result or the reason of
    its failure is stored in the review, the full result in `StoredAnswers`, and a row in results.csv.
    """

    def __init__(
        self,
        dispatcher: JobDispatcher,
        cases: CaseList,
        review: Review,
        files_of: Callable[[ListedCase], Job],
        model: Model,
        again: bool = False,
        changed: Callable[[], Any] = lambda: None,
    ) -> None:
        """files_of: returns the files of a case, with corrected masks.

        again: also process cases with a valid result.
        """
        self._dispatcher, self.cases, self._review = dispatcher, cases, review
        self._stored = StoredAnswers(cases, review)
        self._files_of, self._model, self._changed = files_of, model, changed
        self._todo: Sequence[ListedCase] = [case for case in cases.cases if again or self._needs(case)]
        self.total = len(self._todo)
        self.done = self.failed = 0
        self.doing = ""
        self.problem = ""
        self._part = 0.0
        self._ticket: int | None = None
        self._asked: tuple = ()  # stamps of the files of the current case when its job started
        self.state = "running"
        self._next()

    @property
    def running(self) -> bool:
        """True until the last case is done or the run is stopped."""
        return self.state in ("running", "canceling")

    @property
    def fraction(self) -> float:
        """The fraction done, 0 to 1."""
        return 1.0 if not self.total else min(1.0, (self.done + self._part) / self.total)

    @property
    def summary(self) -> str:
        """The outcome, in a few sentences."""
        if not self.total:
            return _("Every case of the list has a grade already.")
        sentences = [
            _("{graded} of {cases} graded now.").format(
                graded=self.done - self.failed, cases=plural(self.total, _("{count} case"), _("{count} cases"))
            )
        ]
        if self.failed:
            sentences.append(_("{failed} failed; the table above says why.").format(failed=self.failed))
        if self.state == "canceled":
            sentences.append(_("The rest was stopped."))
        sentences.append(
            self.problem
            or _("The table is {table} in {folder}.").format(table=RESULTS, folder=self._stored.table.parent.name)
        )
        return joined(sentences)

    def cancel(self) -> None:
        """Stop within a second; finished cases are kept."""
        if self.state == "running":
            self.state = "canceling"
            if self._ticket is not None:
                self._dispatcher.cancel(self._ticket)
            self._changed()

    def _needs(self, case: ListedCase) -> bool:
        record = self._review.whole(case.id)
        return record.answer is None or record.failure is not None or bool(record.answer["outdated"])

    def _next(self) -> None:
        if self.state == "canceling" or self.done >= self.total:
            self.state = "canceled" if self.state == "canceling" else "done"
            self.doing, self._part, self._ticket = "", 0.0, None
            self._write(self._stored.table, review_csv(self.cases, self._review, hidden_too=True))
            self._changed()
            return
        case = self._todo[self.done]
        self.doing, self._part = case.id, 0.0
        self._asked = self._stamp(case)
        job = GradeFiles(_KEY, self._files_of(case), self._model)
        # In the background, since opening a case for the reader has priority.
        self._ticket = self._dispatcher.submit(
            job, lambda event: self._ended(case, event), self._heard, background=True
        )
        self._changed()

    def _heard(self, fraction: float, _text: str) -> None:
        self._part = max(self._part, fraction)  # a job that yielded starts over
        self._changed()

    def _ended(self, case: ListedCase, event: events.Event) -> None:
        if isinstance(event, events.JobCanceled):
            self.state = "canceling"
            self._next()
            return
        if self.state == "running" and self._stamp(case) != self._asked:
            self._next()  # its masks were saved meanwhile: grade the same case again
            return
        if isinstance(event, events.JobFailed):
            self.failed += 1
            self._record_failure(case, event)
        else:
            report = event.result.report
            self._review.update(case.id, answer=answer_of(report), failure=None)
            self._write(self._stored.file_of(case), report.to_json())
        self.done += 1
        self._write(self._stored.table, review_csv(self.cases, self._review, hidden_too=True))
        self._next()

    def _stamp(self, case: ListedCase) -> tuple:
        """Return a stamp that changes if other masks of a case are to be graded."""
        files = self._files_of(case)
        masks = [path for path in (files.segmentation, *(files.mask_files or ())) if path is not None]
        return files, [path.stat().st_mtime_ns if path.is_file() else None for path in masks]

    def _record_failure(self, case: ListedCase, event: events.JobFailed) -> None:
        """Record the reason, and move an earlier run's report aside so that it is not taken for this run's."""
        self._review.update(case.id, failure=failure_of(event.code, event.message))
        file = self._stored.file_of(case)
        set_aside(file.parent, [file.name])

    def _write(self, path: Any, text: str) -> None:
        try:
            write_text(path, text)
        except OutputNotWritable:
            self.problem = _("The results could not be written beside the list; they are in the table here.")
