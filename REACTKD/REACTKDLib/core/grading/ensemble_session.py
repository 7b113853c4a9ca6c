"""An open case for an ensemble: each member encodes the case once, and the masks are analyzed once for all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grading.asked_case import for_task
from REACTKDLib.core.grading.grade_result import GradeResult, compose_report
from REACTKDLib.core.grading.session import Session
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.modality import Modality

if TYPE_CHECKING:
    from REACTKDLib.core.student.ensemble import Ensemble


class EnsembleSession:
    """The counterpart of `Session` for an ensemble; `Session` documents the methods.

    sessions: one for each member, on the same case. Images and features cost time and memory for each member; regions,
    their measurements and, on the same grid, their placement are computed once.
    """

    def __init__(self, ensemble: Ensemble, sessions: Sequence[Session]):
        self.bundle = ensemble
        self._sessions = tuple(sessions)

    @property
    def case(self) -> Case:
        """The case, with its latest masks."""
        return self._sessions[0].case

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that are used."""
        return self._sessions[0].modalities

    @property
    def device(self) -> str:
        """The current device: 'cuda' only if all members use it."""
        return "cpu" if any(session.device == "cpu" for session in self._sessions) else self._sessions[0].device

    @property
    def encoder_calls(self) -> int:
        """Number of images that the members have encoded so far, including other cases."""
        return sum(session.encoder_calls for session in self._sessions)

    def correct(
        self,
        liver: np.ndarray | None,
        tumor: np.ndarray | None,
        keep_specks: bool | None = None,
        lesions: np.ndarray | None = None,
        findings: Collection[Finding] | None = None,
    ) -> None:
        """Replace the masks; they are checked once."""
        first, *others = self._sessions
        first.correct(liver, tumor, keep_specks, lesions, findings)
        for session in others:
            session.case = first.case

    def adopt(self, case: Case) -> bool:
        """Take over another copy of the same case if every member would encode the same images; otherwise nothing
        changes.
        """
        if not case.has_images_of(self.case):
            return False
        clean = checked(for_task(case, self._sessions[0].bundle))
        if not self.serves(clean):
            return False
        for session in self._sessions:
            session.case = clean
        return True

    def serves(self, case: Case) -> bool:
        """True if `adopt` would accept this case; nothing is changed."""
        return all(session.serves(case) for session in self._sessions)

    def grade(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        leave_out: Collection[Modality] = (),
        mute: Collection[str | int] = (),
    ) -> GradeResult:
        """Grade with the mean of the members' probabilities; for the values of regions see `compose_report`."""
        first, *others = self._sessions
        given, output, findings = first.evaluate(liver, tumor, leave_out, mute, models=self.bundle.members)
        more = [session.evaluate(leave_out=leave_out, mute=mute, like=first)[1] for session in others]
        return compose_report(self.bundle, given, (output, *more), findings)
