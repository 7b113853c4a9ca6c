"""Grading: a case is prepared and encoded once, then graded again whenever its masks change.

session = Grader(load_model_folder(folder)).open(case)
result = session.grade()                       # result.report, result.regions, result.voxel_map
result = session.grade(tumor=corrected_mask)   # no encoder
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grading.ensemble_session import EnsembleSession
from REACTKDLib.core.grading.session import Session
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.progress import IsCanceled, OnProgress, never_canceled, no_progress
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.ensemble import Ensemble
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import StudentRunner
    from REACTKDLib.core.student.network import Student


def _runner(student: Student, device: str) -> StudentRunner:
    from REACTKDLib.core.grading.runner import StudentRunner

    return StudentRunner(student, device)


def load_libraries() -> None:
    """Import the libraries that grading needs.

    This takes half a second, which is better spent before the first grade.
    """
    for name in ("scipy.ndimage", "scipy.spatial", "REACTKDLib.core.grading.runner"):
        importlib.import_module(name)


class Grader:
    """Grades cases with one bundle, or with an ensemble of several.

    device: 'auto' (a GPU if there is one), 'cuda' or 'cpu'. If the GPU fails, the CPU is used instead and a finding
    `device-fallback` reports it. runner: creates a `StudentRunner`.

    Raises: UsageError for any other device.
    """

    def __init__(
        self,
        bundle: Bundle | Ensemble,
        device: str = "auto",
        runner: Callable[[Student, str], StudentRunner] = _runner,
    ):
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(_("There is no device '{device}'; choose auto, cpu or cuda."), device=device)
        self.bundle = bundle
        self.device = device
        self.make_runner = runner

    @property
    def encoder_calls(self) -> int:
        """Number of images that the model has encoded so far on the CPU."""
        return sum(bundle.student.encoder_calls for bundle in self._members)

    @property
    def _members(self) -> tuple[Bundle, ...]:
        return self.bundle.members if isinstance(self.bundle, Ensemble) else (self.bundle,)

    @property
    def task(self) -> Task:
        """The task of the model: organ, lesions and classes."""
        return self.bundle.task

    def open(
        self, case: Case, on_progress: OnProgress = no_progress, is_canceled: IsCanceled = never_canceled
    ) -> Session | EnsembleSession:
        """Prepare and encode `case`.

        on_progress(fraction, text) is called at every step; is_canceled() is called before every layer of the network.
        Raises: NoLiver, NoVolume (no modality that the bundle uses), PetOffLiver, Canceled.
        """
        members = self._members
        sessions = []
        for n, bundle in enumerate(members):
            part = lambda fraction, text, n=n: on_progress((n + fraction) / len(members), text)  # noqa: E731
            sessions.append(Session(bundle, self.device, self.make_runner, case, part, is_canceled))
        return EnsembleSession(self.bundle, sessions) if isinstance(self.bundle, Ensemble) else sessions[0]
