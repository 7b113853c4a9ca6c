"""Saving of mask edits: before the current case is left, with a question to the user if that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.review.corrected_masks import CorrectedMasks
from REACTKDLib.core.review.review import Review
from REACTKDLib.scene.case_loader import CaseLoader
from REACTKDLib.scene.segments import SegmentChoice, names_by_hand
from REACTKDLib.scene.signal import Signal
from REACTKDLib.scene.unsaved_masks import GO_ON, LEAVE, SAVE_ELSEWHERE, keep_elsewhere, not_saved


@dataclass(frozen=True)
class Question:
    """A question to the user, since masks could not be saved. text: what happened. leave: continues without them."""

    text: str
    leave: Callable[[], Any]


class MaskSaving:
    """The part of `scene.reading.Reading` that concerns edited masks."""

    review: Review | None
    masks: CorrectedMasks | None
    loader: CaseLoader
    current: ListedCase | None
    chosen: SegmentChoice | None
    question: Question | None
    message: str
    busy: bool
    changed: Signal
    _rescued: list[str]
    _keeping: bool
    _wish: Callable[[], Any] | None
    _take_notices: Callable[[], None]
    _say_too: Callable[[str], None]

    @property
    def edited(self) -> bool:
        """True if the masks of the current case must be saved, even if one of its images was removed."""
        return self.current is not None and self.loader.edited

    def save(self, then: Callable[[], Any]) -> None:
        """Save the masks of the current case, if they were edited, then call `then`; the case stays open."""
        if not self.busy:
            self._leave(then, lambda error: self._ask(error, then, GO_ON))

    def keep(self, saying: str = "") -> None:
        """Save the masks of the current case, which stays open, and show `saying`.

        If saving fails, a message is shown instead of a question: nothing is lost while the case is open.
        """
        if self.busy:
            return

        def ended(sentence: str) -> None:
            wish, self._wish, self._keeping = self._wish, None, False
            self._say_too(sentence)
            if wish is not None:
                wish()

        self._keeping, self._wish = True, None
        self._leave(lambda: ended(saying), lambda error: ended(not_saved(self.current.id, error, SAVE_ELSEWHERE)))

    def answer(self, leave: bool) -> None:
        """Answer the open question: continue without the edits, or stay."""
        question, self.question = self.question, None
        self.message = ""
        if question is not None and leave:
            question.leave()
        self.changed()

    def _leave(self, then: Callable[[], Any], failed: Callable[[ReactkdError], Any] | None = None) -> None:
        """Save edits, then call `then`. failed: called if they cannot be saved; by default the user is asked."""
        if not self.edited:
            then()
            return
        failed = failed or (lambda error: self._ask(error, then, LEAVE))
        outdated = self.loader.stamp() != self.loader.graded

        def saved(error: ReactkdError | None) -> None:
            if error is not None:
                failed(error)
                self.changed()
                return
            self._record_masks(path, outdated)
            self._leave(then, failed)  # the masks may have been edited meanwhile
            self.changed()

        try:
            path = self.masks.target(self.current)
        except ReactkdError as error:
            saved(error)
            return
        self.loader.save(path, saved)
        self.changed()

    def _ask(self, error: ReactkdError, then: Callable[[], Any], choice: str) -> None:
        self.question = Question(not_saved(self.current.id, error, choice), then)

    def _record_masks(self, path: Path, outdated: bool) -> None:
        case = self.current
        names = names_by_hand(self.loader.loaded.nodes.segmentation, self.chosen)
        parts = {"masks": self.masks.saved_as(path, case, names)}
        answer = self.review.whole(case.id).answer
        if answer is not None and outdated:
            parts["answer"] = {**answer, "outdated": True}
        self.review.update(case.id, **parts)
        self._take_notices()

    def _save_at_once(self) -> None:
        """Save edits synchronously, elsewhere if necessary, because the nodes are about to be removed."""
        if self.edited:
            outdated = self.loader.stamp() != self.loader.graded
            try:
                path = self.masks.target(self.current)
                self.loader.save_now(path)
                self._record_masks(path, outdated)
            except ReactkdError as error:
                self._rescued.append(keep_elsewhere(self.loader, self.current, error))
