"""The complete result for a case of a list, stored beside the list for when the case is opened again.

A review contains the grade and its probabilities; regions and their values are in a file per case in the results
folder, the same that a batch writes. A file is used only if it matches the result that the review records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.case_list import RESULTS, CaseList, ListedCase
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.readers import UNNAMED, reader_folder
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.core.review.review import Review

_SAME = ("grade", "probabilities", "uncertain", "inputs", "model", "lesions", "tumor_ml")


@dataclass(frozen=True)
class StoredAnswer:
    """A stored result. report: the report. at: its time, as in the review.

    masks_changed: the reader has corrected the masks since. files_changed: an image or mask of the list is newer.
    """

    report: GradeReport
    at: str
    masks_changed: bool
    files_changed: bool

    def is_of(self, answer: Mapping[str, Any]) -> bool:
        """Return True if this is the result that a review records.

        Its time alone does not prove that: it is written to the second, and a short list is graded twice in one.
        """
        return self.at == answer["at"] and _agrees(self.report, answer)


class StoredAnswers:
    """The results beside a list, each in a file that is written atomically.

    cases, review: the list and its review, as the present reader sees it.
    """

    def __init__(self, cases: CaseList, review: Review) -> None:
        self._cases, self._review = cases, review

    @property
    def folder(self) -> Path:
        """The folder for this reader's own results: a named reader has a subfolder of the results folder."""
        reader, folder = self._review.reader, self._cases.results_folder
        return folder if reader == UNNAMED else folder / reader_folder(reader)

    @property
    def table(self) -> Path:
        """The file of a batch's table, which shows the list as this reader sees it."""
        return self.folder / RESULTS

    def file_of(self, case: ListedCase) -> Path:
        """Return the file for the result of a case: separate for a reader with own masks, and so an own result."""
        own = self._review.record(case.id).keeps_own_answer(self._review.reader)
        return (self.folder if own else self._cases.results_folder) / f"{case.file_name}.json"

    def keep(self, case: ListedCase, report: GradeReport) -> bool:
        """Write a result; return whether it could be written."""
        try:
            report.write_json(self.file_of(case))
        except OutputNotWritable:
            return False
        return True

    def of(self, case: ListedCase, files: Iterable[Path] = ()) -> StoredAnswer | None:
        """Return the stored result; None if there is none, or if it differs from the review's record.

        files: its images and masks. In a reader study there is none until it may be seen.
        """
        answer = self._review.of(case.id).answer
        if answer is None:
            return None
        for path in dict.fromkeys((self.file_of(case), self._cases.results_folder / f"{case.file_name}.json")):
            try:
                report = GradeReport.read_json(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
            if _agrees(report, answer):
                return StoredAnswer(report, answer["at"], bool(answer["outdated"]), _newer(files, answer["at"]))
        return None


def _agrees(report: GradeReport, answer: Mapping[str, Any]) -> bool:
    """Return True if a report has the numbers that a review records."""
    kept = answer_of(report)
    return all(kept[key] == answer.get(key) for key in _SAME)


def _newer(files: Iterable[Path], at: str) -> bool:
    """Return True if a file was written after `at`; an unreadable time counts as newer, since it proves nothing."""
    try:
        moment = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
        return any(path.stat().st_mtime > moment + 1.0 for path in files)
    except (OSError, ValueError):
        return True
