"""One open case for several models that answer together: each encodes it once, the masks are read once for all."""

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
    """What `Session` is, for an ensemble; its methods are described there.

    sessions: of the members, on the same case. Time and memory of images and features are those of as many single
    models; regions, their measures and, on the same grid, their places are worked out once.
    """

    def __init__(self, ensemble: Ensemble, sessions: Sequence[Session]):
        self.bundle = ensemble
        self._sessions = tuple(sessions)

    @property
    def case(self) -> Case:
        """With the masks of the last correction."""
        return self._sessions[0].case

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The images that are used."""
        return self._sessions[0].modalities

    @property
    def device(self) -> str:
        """Where it computes now: 'cuda' only where every member does."""
        return "cpu" if any(session.device == "cpu" for session in self._sessions) else self._sessions[0].device

    @property
    def encoder_calls(self) -> int:
        """How many images the members have encoded so far, for other cases too."""
        return sum(session.encoder_calls for session in self._sessions)

    def correct(
        self,
        liver: np.ndarray | None,
        tumor: np.ndarray | None,
        keep_specks: bool | None = None,
        lesions: np.ndarray | None = None,
        findings: Collection[Finding] | None = None,
    ) -> None:
        """Take other masks; they are checked once."""
        first, *others = self._sessions
        first.correct(liver, tumor, keep_specks, lesions, findings)
        for session in others:
            session.case = first.case

    def adopt(self, case: Case) -> bool:
        """Take another reading of the same images, if every member would encode the same; else nothing changes."""
        if not case.has_images_of(self.case):
            return False
        clean = checked(for_task(case, self._sessions[0].bundle))
        if not self.serves(clean):
            return False
        for session in self._sessions:
            session.case = clean
        return True

    def serves(self, case: Case) -> bool:
        """True when `adopt` would take this case; nothing is changed."""
        return all(session.serves(case) for session in self._sessions)

    def grade(
        self,
        liver: np.ndarray | None = None,
        tumor: np.ndarray | None = None,
        leave_out: Collection[Modality] = (),
        mute: Collection[str | int] = (),
    ) -> GradeResult:
        """Grade with the mean probabilities of the members; see `compose_report` for what becomes of the regions."""
        first, *others = self._sessions
        asked, judgment, findings = first.judge(liver, tumor, leave_out, mute)
        more = [session.judge(leave_out=leave_out, mute=mute, like=first)[1] for session in others]
        return compose_report(self.bundle, asked, (judgment, *more), findings)
