"""A whole run: cohorts, preparation, folds, predictions, measures, figures, the model folder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch

from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.worker.training_run import RECORD
from REACTKDLib.core.writing.run_lock import running_alone
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import FoldsImpossible, Split
from REACTKDTrainLib.cohorts.open_cohort import size_of
from REACTKDTrainLib.data.dose_data import DoseSource
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.models.student_graph import images_read
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.training.bindings import trained_teacher
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.device import choose_device
from REACTKDTrainLib.training.fold import FoldRun
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.fold_ensemble import save_ensemble
from REACTKDTrainLib.training.loggers import RunLogger, logger_names, numbers_of, opened_loggers
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.outputs import Chosen, Result, write_outcome
from REACTKDTrainLib.training.predictions import Prediction, predict_student, predict_teacher, write_rows
from REACTKDTrainLib.training.preparation import UnreadableCase
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.record import (
    add_native_dose,
    add_scans,
    add_unreadable,
    check_free,
    describe_run,
    open_folder,
)
from REACTKDTrainLib.training.run_checks import SameScan, check_other_folds
from REACTKDTrainLib.training.run_cohorts import RunCohorts
from REACTKDTrainLib.training.stop import StopFile, Stopped

ENSEMBLE = "ensemble"


def run_experiment(options: RunOptions, on_progress: OnProgress = no_progress) -> Result:
    """Run the training that `options` describe, or resume it.

    Raises: UsageError and other ReactkdErrors, each with one sentence, before anything is written if possible;
    FolderInUse if another training uses the folder; Stopped if the output folder contains a file STOP (the state is
    kept).
    """
    device = choose_device(options.device)
    config = options.training_config(size_of(options.cohort), options.read_task())
    processes = Processes.joined(device.type)
    try:
        run = Experiment(options, config, device, processes, on_progress if processes.first else no_progress)
        with running_alone(run.output / RECORD, "a training") if processes.first else nullcontext():
            try:
                return run.run()
            except Stopped:
                if processes.first:
                    run.stop.mark_stopped()
                raise
    finally:
        processes.leave()


@dataclass(eq=False)
class Experiment:
    """See `run_experiment`."""

    options: RunOptions
    config: TrainingConfig
    device: torch.device
    processes: Processes
    on_progress: OnProgress

    def __post_init__(self) -> None:
        self.data = RunCohorts(self.options, self.config, self.processes, self.on_progress)
        self.output, self.cache, self.store = self.data.output, self.data.cache, self.data.store
        self.stop = StopFile(self.output)
        self._loggers: list[RunLogger] = []

    def run(self) -> Result:
        """Run all parts in order; parts that an earlier run completed are not repeated."""
        if self.processes.first:
            self.stop.clear()  # first, so that stop requests from now on are obeyed
            check_free(self.output, self.options.resume)  # before reading the cohort, which can take minutes
        self.on_progress(0.0, "opening the cohort")
        cohorts, _ = self.data.checked()
        record = describe_run(self.config, cohorts, self.device, self.processes)
        new = not (self.output / RECORD).exists()
        if new and self.options.resume:
            self.on_progress(0.0, "no run is in the output folder yet, so one begins")
        if self.processes.first:
            open_folder(self.output, record, self.options.resume)
        self.processes.wait()
        try:
            self._progress = WeightedProgress(self.data.costs(cohorts), self.on_progress)
            cohorts = self.data.prepare(cohorts, self._progress.part("prepare"), self.stop.check)
            truncated = self.data.truncated(cohorts)
            splits = self.data.splits(cohorts)  # of the cases that can be read, who may be too few
            external = cohorts["external"].cases if "external" in cohorts else ()
            check_other_folds(self.output, splits, [number for _, number in self.data.chosen(splits)], external)
            self.data.check_initial(cohorts, splits, self.data.scans)
        except (UnreadableCase, SameScan, TruncatedFieldOfView, FoldsImpossible):
            if new and self.processes.first:
                (self.output / RECORD).unlink()  # nothing was trained: a corrected cohort can use the folder
            raise
        if self.processes.first:
            add_unreadable(self.output, record, cohorts)
            add_native_dose(self.output, truncated)
            learned = [case for role in ("cohort", "unlabeled") if role in cohorts for case in cohorts[role].cases]
            add_scans(self.output, map(self.data.scans, learned), self.data.initial_scans)
        record = describe_run(self.config, cohorts, self.device, self.processes)
        names = logger_names(self.options.loggers) if self.processes.first else []
        with opened_loggers(names, self.output, record["configuration"]) as self._loggers:
            result = self._train(cohorts, splits, record)
            for logger in self._loggers:
                logger.add("measures", 0, numbers_of({"macro_auc": result.macro_auc, "accuracy": result.accuracy}))
        if self.processes.first:
            self.stop.clear()  # requested after the last step: nothing is left to stop
        return result

    # -- cohorts

    def _unlabeled(self, cohorts: dict[str, Cohort]) -> tuple[CohortCase, ...]:
        return cohorts["unlabeled"].cases if "unlabeled" in cohorts else ()

    def _fold(self, split: Split, number: int, unlabeled: Sequence[CohortCase]) -> FoldRun:
        return FoldRun(
            self.config,
            number,
            split,
            self.store,
            self.output,
            self.cache,
            self.device,
            unlabeled,
            partial(DoseSource.of, self.cache / "doses") if self.config.data.doses else None,
            self.processes,
            self.stop,
            self._progress,
            loggers=self._loggers,
        )

    def _train(self, cohorts: dict[str, Cohort], splits: list[Split], record: dict) -> Result:
        chosen: list[Chosen] = []
        if self.options.stage == "student" and self.data.needs_teacher:
            for split, number in self.data.chosen(splits):  # for all folds, before any student is trained
                trained_teacher(self.output, self.config, number, split, self._unlabeled(cohorts))
        for split, number in self.data.chosen(splits):
            fold = self._fold(split, number, self._unlabeled(cohorts))
            teacher = None
            if self.options.stage == "teacher" or self.data.needs_teacher:
                teacher = fold.teacher(train=self.options.stage != "student")
            if self.options.stage == "teacher":
                self._predict(fold, None, teacher, cohorts)
                continue
            student = fold.student(teacher)
            self._predict(fold, student, teacher, cohorts)
            shown = (images_read(student, case.modalities) for case in fold.split.train)
            seen = TrainedOn.cases(shown, self.config.loss.modality_dropout, self._organ_hu(student, fold.split))
            score = fold.score(student)
            chosen.append(Chosen(score, student, fold.window, fold.temperature, fold.number, seen))
        result = Result(None, None, None)
        if self.processes.first:
            result, metrics = write_outcome(self.output, self.config, cohorts, record, chosen)
            if len(chosen) > 1:
                save_ensemble(self.output / ENSEMBLE, chosen, self.config, record, metrics, self.data.task)
                result = replace(result, ensemble=self.output / ENSEMBLE)
            self.on_progress(1.0, "done")
        self.processes.wait()
        return result

    def _organ_hu(self, student: Student, split: Split) -> list[float]:
        """Return the `organ_mean_hu` of the training cases with a CT; none if it is not known of all of them."""
        with_ct = [case for case in split.train if "ct" in images_read(student, case.modalities)]
        means = [self.store.organ_hu(case) for case in with_ct]
        return [] if None in means else [mean for mean in means if not math.isnan(mean)]

    def _predict(
        self, fold: FoldRun, student: Student | None, teacher: Teacher | None, cohorts: dict[str, Cohort]
    ) -> None:
        """Write the predictions for this fold's test cases and the external cohort beside the fold's weights."""
        if not self.processes.first:
            return
        parts = {"test": fold.data["test"]}
        if (external := cohorts.get("external")) is not None:
            # a model sees each of them once, and there may be thousands: keep none in memory
            parts["external"] = FoldData(external.cases, self.store, fold.data["test"].maker, room_voxels=0)
        total = sum(map(len, parts.values())) * sum(model is not None for model in (student, teacher))
        done = itertools.count(1)
        on_progress = self._progress.part(f"predict{fold.number}")

        def predicted() -> None:
            on_progress(next(done) / total, fold.named("predicting unseen cases"))
            self.stop.check()

        for name, data in parts.items():
            rows: list[Prediction] = []
            if student is not None:
                rows += predict_student(student, data, fold.number, predicted)
            if teacher is not None:
                rows += predict_teacher(teacher, data, fold.number, predicted)
            write_rows(self.output / f"fold{fold.number}" / f"{name}.json", rows)
