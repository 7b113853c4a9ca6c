"""Saving of mask edits: before the current case is left, with a question to the user if that fails; and while it stays
open, in the background.
"""

from __future__ import annotations

import time
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

KEEP_AFTER_S = 30.0  # a crash of the application loses the edits of about this time


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
    quiet: bool
    changed: Signal
    _rescued: list[str]
    _unkept: str
    _unsaved_since: float | None
    _keeping: bool
    _wish: Callable[[], Any] | None
    _take_notices: Callable[[], None]
    _say_too: Callable[[str], None]

    @property
    def edited(self) -> bool:
        """True if the masks of the current case must be saved, even if one of its images was removed."""
        return self.current is not None and self.loader.edited

    @property
    def locked(self) -> bool:
        """True while no action is accepted: a case is opened, or saved before an action, or a question is open.

        While a case that stays open is saved, one action is accepted, and follows the save.
        """
        return self.busy and not self._may_wish

    @property
    def _may_wish(self) -> bool:
        return self._keeping and self.loader.busy and self._wish is None  # a stopped loader does not call back

    def save(self, then: Callable[[], Any]) -> None:
        """Save the masks of the current case, if they were edited, then call `then`; the case stays open."""
        if not self._after_keeping(lambda: self.save(then)) and not self.busy:
            self._leave(then, lambda error: self._ask(error, then, GO_ON))

    def keep(self, saying: str = "", quietly: bool = False) -> None:
        """Save the masks of the current case, which stays open, and show `saying`. quietly: nobody asked for it.

        If saving fails, a message is shown until it succeeds, instead of a question: nothing is lost while the case is
        open.
        """
        if self.busy:
            return

        def ended(sentence: str) -> None:
            wish, self._wish = self._wish, None
            self._keeping = self.quiet = False
            self._say_too(sentence)
            if wish is not None:
                wish()

        def failed(error: ReactkdError) -> None:
            self._unkept = not_saved(self.current.id, error, SAVE_ELSEWHERE)
            ended("")

        self._keeping, self.quiet, self._wish = True, quietly, None
        self._leave(lambda: ended(saying), failed)

    def keep_edits(self) -> None:
        """Save edits that have not been saved for `KEEP_AFTER_S`; call it every few seconds. A failed save is repeated
        after that time.
        """
        now = time.monotonic()
        if not self.edited:
            self._unsaved_since = None
        elif self._unsaved_since is None:
            self._unsaved_since = now
        elif not self.busy and now - self._unsaved_since >= KEEP_AFTER_S:
            self._unsaved_since = now
            self.keep(quietly=True)

    def _after_keeping(self, action: Callable[[], Any]) -> bool:
        """Return True if the current case is saved and stays open; `action` then follows, and no other is accepted
        until then: it may leave the case that another one is about.
        """
        if not self._may_wish:
            return False
        self._wish, self.quiet = action, False  # the user waits for the save now
        self.changed()
        return True

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

        def saved(error: ReactkdError | None) -> None:
            if error is not None:
                failed(error)
                self.changed()
                return
            self._record_masks(path)
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
        self._unkept = ""  # the question says it
        self.question = Question(not_saved(self.current.id, error, choice), then)

    def _record_masks(self, path: Path) -> None:
        case, self._unkept = self.current, ""
        names = names_by_hand(self.loader.loaded.nodes.segmentation, self.chosen)
        parts = {"masks": self.masks.saved_as(path, case, names)}
        answer = self.review.whole(case.id).answer
        if answer is not None and self.loader.stamp() != self.loader.graded:  # now: one may have come during the save
            parts["answer"] = {**answer, "outdated": True}
        self.review.update(case.id, **parts)
        self._take_notices()

    def _save_at_once(self) -> None:
        """Save edits synchronously, elsewhere if necessary, because the nodes are about to be removed."""
        written = self.loader.end_saving()
        if written is not None:
            self._record_masks(written)
        if self.edited:
            try:
                path = self.masks.target(self.current)
                self.loader.save_now(path)
                self._record_masks(path)
            except ReactkdError as error:
                self._rescued.append(keep_elsewhere(self.loader, self.current, error))
