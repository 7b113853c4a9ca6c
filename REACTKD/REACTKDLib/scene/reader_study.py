"""A reader study on a list that is open: whether results are hidden, the order of the cases, and the seconds spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from REACTKDLib.core.cases.case_list import CaseList
from REACTKDLib.core.review.readers import reading_order
from REACTKDLib.core.review.record import CaseReview
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.review.study import Study, end_study, read_study, start_study


class ReaderStudy:
    """The study of one list, for the reader of its review.

    study: None if there is none. A reading has two stages: "unaided" until the first grade is given, and "aided" while
    the result is shown. Seconds count while the case is open, in the aided stage from the moment the result is shown;
    an interrupted reading continues to count when it is resumed.
    """

    def __init__(self, cases: CaseList, review: Review, clock: Callable[[], float] = time.monotonic) -> None:
        self._cases, self._review, self._clock = cases, review, clock
        self._case: str | None = None
        self._since: float | None = None
        self._base = 0.0
        self.study: Study | None = None
        self.look()

    @property
    def on(self) -> bool:
        """True while the list is read in a study."""
        return self.study is not None

    def look(self) -> bool:
        """Read the study's file, which another window may have written; return whether anything changed."""
        before, self.study = self.study, read_study(self._cases.study_file)
        self._review.hide_answers(self.on)
        return self.study != before

    def start(self, seed: int) -> None:
        """Hide results from now on. Raises: OutputNotWritable."""
        start_study(self._cases.study_file, seed)
        self.look()

    def end(self) -> None:
        """Show results again. Raises: OutputNotWritable."""
        end_study(self._cases.study_file)
        self.look()

    def order(self) -> list[int]:
        """Return the indices of the cases in the order in which the reader sees them; without a study, in that of the
        list.
        """
        if self.study is None:
            return list(range(len(self._cases.cases)))
        return reading_order([case.id for case in self._cases.cases], self.study.seed, self._review.reader)

    # the clock

    def begin(self, case_id: str) -> None:
        """The case is in the scene; no result is shown yet."""
        record = self._review.whole(case_id)
        self._case, self._base = case_id, _seconds(record, self._stage(record))
        self._since = self._clock() if self._review.hides_answer(case_id) else None

    def answered(self, case_id: str) -> None:
        """The model's result is shown."""
        if self.on and case_id == self._case and self._since is None:
            self._since = self._clock()

    def leave(self) -> None:
        """The case leaves the scene: store the seconds of an unfinished reading."""
        case_id = self._case
        if self.on and case_id is not None and self._since is not None:
            record = self._review.whole(case_id)
            if record.aided is None:
                spent = {stage: _seconds(record, stage) for stage in ("unaided", "aided")}
                self._review.update(case_id, spent={**spent, self._stage(record): self._total()})
        self._case = self._since = None

    def _total(self) -> float:
        return round(self._base + (0.0 if self._since is None else self._clock() - self._since), 1)

    @staticmethod
    def _stage(record: CaseReview) -> str:
        return "unaided" if record.unaided is None else "aided"

    # what is recorded

    def first_grade(self, case_id: str) -> Mapping[str, Any]:
        """Return the part "unaided" of the current case, with the reader's current grade.

        The clock stops until the result is shown.
        """
        record = self._review.whole(case_id)
        place = 1 + self.order().index(self._cases.find(case_id))
        seconds, self._base, self._since = self._total(), 0.0, None
        return {"grade": record.reader_grade, "seconds": seconds, "place": place, "seed": self.study.seed}

    def parts_of(self, case_id: str, grade: str | None, reviewed: bool) -> dict[str, Mapping[str, Any] | None]:
        """Return the part "aided" for a grade and a mark about to be set, if they finish the reading, else None."""
        record = self._review.whole(case_id)
        if not self.on or record.unaided is None:
            return {}
        if grade is None or not reviewed:
            return {"aided": None} if record.aided is not None else {}
        shown = {key: record.answer[key] for key in ("grade", "probabilities", "model")} if record.answer else None
        seconds = self._total() if case_id == self._case else _seconds(record, "aided")
        answer = {"grade": grade, "seconds": seconds, **({"shown": shown} if shown else {})}
        return {"aided": answer}


def _seconds(record: CaseReview, stage: str) -> float:
    """Return the seconds of a stage in earlier sessions."""
    if stage == "aided" and record.aided is not None:
        return record.aided["seconds"]
    return (record.spent or {}).get(stage, 0.0)
