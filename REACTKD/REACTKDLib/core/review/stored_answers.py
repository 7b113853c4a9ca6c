"""The whole answer to a case of a list, kept beside the list, so that it is there when the case is opened again.

A review holds the grade and its probabilities; regions and their numbers are in a file of each case in the results
folder, the same that a batch writes. A file is used only where it holds the answer that the review records.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from REACTKDLib.core.cases.case_list import RESULTS, CaseList, ListedCase
from REACTKDLib.core.errors import OutputNotWritable
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.readers import UNNAMED, reader_folder
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.core.review.review import Review

_SAME = ("grade", "probabilities", "uncertain", "inputs", "model", "lesions", "tumor_ml")


@dataclass(frozen=True)
class StoredAnswer:
    """report: the answer. at: when it was given, as in the review.

    masks_changed: the reader corrected the masks after it. files_changed: an image or mask of the list is newer.
    """

    report: GradeReport
    at: str
    masks_changed: bool
    files_changed: bool


class StoredAnswers:
    """The answers beside a list, each in a file that is written whole or not at all.

    cases, review: the list and what is known of it, as the present reader sees it.
    """

    def __init__(self, cases: CaseList, review: Review) -> None:
        self._cases, self._review = cases, review

    @property
    def folder(self) -> Path:
        """Where what is of this reader alone is kept: a folder of a named reader's own in the results."""
        reader, folder = self._review.reader, self._cases.results_folder
        return folder if reader == UNNAMED else folder / reader_folder(reader)

    @property
    def table(self) -> Path:
        """Where a batch leaves its table, which shows the list as this reader sees it."""
        return self.folder / RESULTS

    def file_of(self, case: ListedCase) -> Path:
        """Where the answer to a case is kept: apart for a reader with masks, and so an answer, of their own."""
        own = self._review.record(case.id).keeps_own_answer(self._review.reader)
        return (self.folder if own else self._cases.results_folder) / f"{case.file_name}.json"

    def keep(self, case: ListedCase, report: GradeReport) -> bool:
        """Write an answer; return whether it could be written."""
        try:
            report.write_json(self.file_of(case))
        except OutputNotWritable:
            return False
        return True

    def of(self, case: ListedCase, files: Iterable[Path] = ()) -> StoredAnswer | None:
        """Return the answer that was kept; None where there is none, or another than the review records.

        files: images and masks of the list that it is of. In a reader study there is none until it may be seen.
        """
        answer = self._review.of(case.id).answer
        if answer is None:
            return None
        for path in dict.fromkeys((self.file_of(case), self._cases.results_folder / f"{case.file_name}.json")):
            try:
                report = GradeReport.read_json(path)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
            kept = answer_of(report)
            if all(kept[key] == answer.get(key) for key in _SAME):
                return StoredAnswer(report, answer["at"], bool(answer["outdated"]), _newer(files, answer["at"]))
        return None


def _newer(files: Iterable[Path], at: str) -> bool:
    """True when a file was written after `at`; a time that cannot be read proves nothing, so it counts as newer."""
    try:
        moment = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
        return any(path.stat().st_mtime > moment + 1.0 for path in files)
    except (OSError, ValueError):
        return True
