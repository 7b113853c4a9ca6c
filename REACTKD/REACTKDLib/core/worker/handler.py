"""Executes the worker's jobs; holds a model and up to two open cases."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from REACTKDLib.core.cases.open_job import open_job, read_job
from REACTKDLib.core.errors import Canceled, CaseNotOpen
from REACTKDLib.core.files.placed_masks import write_placed_masks
from REACTKDLib.core.findings import merged
from REACTKDLib.core.grading.grade_result import GradeResult
from REACTKDLib.core.grading.grader import Grader, load_libraries
from REACTKDLib.core.grading.session import Session
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.checks import checked, foresee
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.progress import IsCanceled, OnProgress
from REACTKDLib.core.student.ensemble import answer_hash, task_of
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.answers import Answer, Drawing, GradeAnswer, Surfaces
from REACTKDLib.core.worker.files_read import FilesRead
from REACTKDLib.core.worker.mending import mended, split
from REACTKDLib.core.worker.reading import case_from_files, masks_from_files, placed_mask
from REACTKDLib.core.worker.wire import write_message

HELD = 2  # the current case, and the next one
_READ_AHEAD = "\x1fread-ahead"


class _Loaded(NamedTuple):
    """A model, with its folder's state when it was loaded: the folder may contain a newer training by now."""

    model: jobs.Model
    sha256: str | None

    @classmethod
    def now(cls, model: jobs.Model) -> _Loaded:
        return cls(model, answer_hash(model.bundle))

    @property
    def stale(self) -> bool:
        return self != _Loaded.now(self.model)


class JobHandler:
    """Executes jobs one after the other. folder: for arrays in and out. new_name: returns a new file name in it.

    make_runner: see `Grader`, or None.
    """

    def __init__(self, folder: Path, new_name: Callable[[], str], make_runner: Callable | None = None) -> None:
        self._folder = folder
        self._new_name = new_name
        self._make_runner = make_runner
        self._grader: tuple[_Loaded, Grader] | None = None
        self._held: OrderedDict[str, tuple[_Loaded, Session]] = OrderedDict()
        self._last: dict[str, GradeResult] = {}
        self._ahead: tuple[GradeResult, str, dict[int, Surface]] | None = None  # surfaces that the panel will request

    def do(self, job: jobs.Job, on_progress: OnProgress, is_canceled: IsCanceled) -> dict[str, Any] | None:
        """Execute one job and return the message of its reply.

        Raises: ReactkdError of any kind; Canceled if is_canceled(); MemoryError, OSError, ImportError.
        """

        def check() -> None:
            if is_canceled():
                raise Canceled(_("The grading was stopped; nothing was written."))

        answer = self._answer(job, on_progress, is_canceled, check)
        return None if answer is None else write_message(answer, self._folder, self._new_name(), check)

    def draw_ahead(self, is_wanted: Callable[[], bool]) -> None:
        """Draw surfaces of the last result, which the panel requests next, until is_wanted() reports another job.

        They are then ready when the numbers are shown. Raises: what drawing raises.
        """

        def check() -> None:
            if is_wanted():
                raise Canceled("")

        if self._ahead is not None:
            with suppress(Canceled):
                Surfaces.of(*self._ahead[:2], check, self._ahead[2])

    def _answer(
        self, job: jobs.Job, on_progress: OnProgress, is_canceled: IsCanceled, check: Callable[[], None]
    ) -> Answer | None:
        match job:
            case jobs.WarmUp(model):
                load_libraries()
                self._grader_of(model)
            case jobs.OpenFiles(files, model):
                self._read_ahead(
                    open_job(files, check=check, task=task_of(model.bundle)), model, on_progress, is_canceled
                )
            case jobs.ReadFiles(files, task):
                return FilesRead.of(read_job(files, check, task))
            case jobs.SaveSegments(path, segments):
                write_placed_masks([placed_mask(self._folder, segment) for segment in segments], path)
            case jobs.GradeFiles(key, files, model):
                read = open_job(files, check=check, task=task_of(model.bundle))
                return self._grade_case(key, read, model, on_progress, is_canceled)
            case jobs.GradeArrays(key, images, masks, case_id, model):
                on_progress(0.0, _("Reading the images"))
                read = case_from_files(self._folder, images, masks, case_id, check, task_of(model.bundle))
                return self._to_be_drawn(self._grade_case(key, read, model, on_progress, is_canceled))
            case jobs.CheckArrays(images, masks, task):
                on_progress(0.0, _("Checking masks and images"))
                case = checked(case_from_files(self._folder, images, masks, "", check, task))
                return merged(case.findings, foresee(case))
            case jobs.MendMasks(masks, shape, ijk_to_ras, code, place, task):
                grid = Grid(tuple(shape), np.array(ijk_to_ras))
                return mended(self._folder, masks, grid, code, place, task)
            case jobs.SplitMask(masks, shape, ijk_to_ras, segments, task):
                grid = Grid(tuple(shape), np.array(ijk_to_ras))
                return split(self._folder, masks, grid, segments, task)
            case jobs.Regrade(key, masks, new_key):
                return self._to_be_drawn(self._regrade(key, masks, new_key or key, check))
            case jobs.WhatIf(key, mute, leave_out):
                return GradeAnswer.of(self._open_case(key).grade(leave_out=leave_out, mute=mute), key, 0, False)
            case jobs.Draw(key):
                self._open_case(key)
                on_progress(0.0, _("Drawing"))
                return Drawing.of(self._last[key], key)
            case jobs.DrawSurfaces(key):
                self._open_case(key)
                ahead = self._ahead if self._ahead is not None and self._ahead[0] is self._last[key] else None
                self._ahead = None
                return Surfaces.of(self._last[key], key, check, ahead and ahead[2])
            case jobs.ExportDicom(key, source, folder):
                on_progress(0.0, _("Writing DICOM"))
                self._export_dicom(key, source, folder)
        return None

    def _export_dicom(self, key: str, source: Path, folder: Path) -> None:
        """Like the command `grade --dicom`."""
        from REACTKDLib.core.reports.dicom_export import check_exportable, on_slices, write_dicom_results

        case, result = self._open_case(key).case, self._last[key]
        headers = check_exportable(source, case.modalities[0], result.report.model.clinical_use)
        labels = on_slices(result.regions.labels, result.regions.ijk_to_ras, headers)
        write_dicom_results(result.report, labels, headers, folder)

    def _grade_case(
        self, key: str, case: Case, model: jobs.Model, on_progress: OnProgress, is_canceled: IsCanceled
    ) -> GradeAnswer:
        calls, anew = self._open(key, case, model, on_progress, is_canceled)
        on_progress(0.95, _("Deciding"))
        return GradeAnswer.of(self._graded(key), key, calls, anew)

    def _regrade(self, key: str, masks: list[jobs.MaskFile], new_key: str, check: Callable[[], None]) -> GradeAnswer:
        session = self._open_case(key)
        if self._held[key][0].stale:
            self._drop(key)
            session = self._open_case(key)
        before = session.encoder_calls
        drawn = masks_from_files(self._folder, masks, session.case.reference, session.case.task)
        check()
        keep_specks = any(mask.keep_specks for mask in masks)
        held = self._held[key]
        self._drop(key)  # after a stop the former result is still shown, and must not refer to these masks
        self._held[new_key] = held
        session.correct(drawn.liver, drawn.tumor, keep_specks, drawn.lesions, drawn.findings)
        check()
        result = self._graded(new_key)
        return GradeAnswer.of(result, new_key, session.encoder_calls - before, False)

    def _to_be_drawn(self, answer: GradeAnswer) -> GradeAnswer:
        self._ahead = self._last[answer.key], answer.key, {}
        return answer

    def _graded(self, key: str) -> GradeResult:
        self._last[key] = self._open_case(key).grade()
        return self._last[key]

    def _read_ahead(self, case: Case, model: jobs.Model, on_progress: OnProgress, is_canceled: IsCanceled) -> None:
        """Open a case in advance; one that is already open keeps its key, which its owner may use."""
        loaded = _Loaded.now(model)
        if not any(known == loaded and session.serves(case) for known, session in self._held.values()):
            self._open(_READ_AHEAD, case, model, on_progress, is_canceled)

    def _open(
        self, key: str, case: Case, model: jobs.Model, on_progress: OnProgress, is_canceled: IsCanceled
    ) -> tuple[int, bool]:
        """Open `case` as `key`, encoded; reuse an open one if possible.

        Returns encoder calls, and whether it was read anew.
        """
        loaded = _Loaded.now(model)
        for name, (known, session) in list(self._held.items()):
            if known == loaded and session.adopt(case):
                self._drop(name)
                self._hold(key, loaded, session)
                return 0, False
        on_progress(0.02, _("Loading the model"))
        grader = self._grader_of(model)
        while len(self._held) >= HELD or key in self._held:  # before the new one needs the memory
            self._drop(key if key in self._held else next(iter(self._held)))
        before = grader.encoder_calls
        session = grader.open(
            checked(case), lambda fraction, text: on_progress(round(0.05 + 0.9 * fraction, 4), text), is_canceled
        )
        self._hold(key, loaded, session)
        return session.encoder_calls - before, True

    def _hold(self, key: str, loaded: _Loaded, session: Session) -> None:
        if key in self._held:
            self._drop(key)
        self._held[key] = loaded, session

    def _drop(self, key: str) -> None:
        del self._held[key]
        self._last.pop(key, None)
        if self._ahead is not None and self._ahead[1] == key:
            self._ahead = None

    def _open_case(self, key: str) -> Session:
        if key not in self._held:
            raise CaseNotOpen(_("The images of this case are no longer in memory; grade the case again."))
        self._held.move_to_end(key)
        return self._held[key][1]

    def _grader_of(self, model: jobs.Model) -> Grader:
        from REACTKDLib.core.student.bundle import shipped_bundle_folder
        from REACTKDLib.core.student.ensemble import load_model_folder

        loaded = _Loaded.now(model)
        if self._grader is None or self._grader[0] != loaded:
            bundle = load_model_folder(model.bundle or shipped_bundle_folder())
            more = {} if self._make_runner is None else {"runner": self._make_runner}
            self._grader = loaded, Grader(bundle, model.device, **more)
        return self._grader[1]
