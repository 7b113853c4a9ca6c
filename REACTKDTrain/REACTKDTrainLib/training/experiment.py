"""A whole run: cohorts, preparation, folds, predictions, measures, figures, the model folder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.worker.training_run import RECORD
from REACTKDLib.core.writing.run_lock import running_alone
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import FoldsImpossible, Split, make_folds
from REACTKDTrainLib.cohorts.open_cohort import check_map, open_cohort, size_of
from REACTKDTrainLib.data.dose_data import DoseSource, at_native_dose
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.low_dose.field_of_view import TruncatedFieldOfView
from REACTKDTrainLib.models.student_graph import images_read
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.training.bindings import trained_teacher
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.device import choose_device
from REACTKDTrainLib.training.fold import COST, FoldRun, fold_costs
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.fold_ensemble import save_ensemble
from REACTKDTrainLib.training.loggers import RunLogger, logger_names, numbers_of, opened_loggers
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.outputs import Chosen, Result, write_outcome
from REACTKDTrainLib.training.predictions import Prediction, predict_student, predict_teacher, write_rows
from REACTKDTrainLib.training.preparation import UnreadableCase, prepare_cohorts, prepare_one, without
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.record import (
    add_native_dose,
    add_scans,
    add_unreadable,
    check_free,
    describe_run,
    open_folder,
)
from REACTKDTrainLib.training.run_checks import (
    SameScan,
    check_apart,
    check_batches,
    check_branch,
    check_ct,
    check_doses,
    check_other_folds,
    check_scans_apart,
    check_steps,
    check_student,
    check_student_cases,
    check_teachers,
    check_untaught,
)
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
        self.output = Path(self.options.output)
        self.cache = Path(self.options.cache) if self.options.cache else self.output / "cache"
        self.stop = StopFile(self.output)
        self.task = self.options.read_task()
        if self.config.student.classes != len(self.task.classes):
            raise UsageError(
                f"The task {self.task.name} has {len(self.task.classes)} classes where the settings have "
                f"{self.config.student.classes}; leave the number of classes to the task."
            )
        self.store = self.config.data.store(self.cache, self.task)
        self.initial_note = ""  # on the weights of an initial model, set by `checked`
        self._loggers: list[RunLogger] = []

    def run(self) -> Result:
        """Run all parts in order; parts that an earlier run completed are not repeated."""
        if self.processes.first:
            self.stop.clear()  # first, so that stop requests from now on are obeyed
            check_free(self.output, self.options.resume)  # before reading the cohort, which can take minutes
        self.on_progress(0.0, "opening the cohort")
        cohorts, _ = self.checked()
        record = describe_run(self.config, cohorts, self.device, self.processes)
        new = not (self.output / RECORD).exists()
        if new and self.options.resume:
            self.on_progress(0.0, "no run is in the output folder yet, so one begins")
        if self.processes.first:
            open_folder(self.output, record, self.options.resume)
        self.processes.wait()
        try:
            cohorts = self._prepare(cohorts)
            check_scans_apart(cohorts, lambda _role, case: self.store.scans(case))
            truncated = self._truncated(cohorts)
            splits = self._splits(cohorts)  # of the cases that can be read, who may be too few
            external = cohorts["external"].cases if "external" in cohorts else ()
            check_other_folds(self.output, splits, [number for _, number in self._chosen(splits)], external)
        except (UnreadableCase, SameScan, TruncatedFieldOfView, FoldsImpossible):
            if new and self.processes.first:
                (self.output / RECORD).unlink()  # nothing was trained: a corrected cohort can use the folder
            raise
        if self.processes.first:
            add_unreadable(self.output, record, cohorts)
            add_native_dose(self.output, truncated)
            learned = [case for role in ("cohort", "unlabeled") if role in cohorts for case in cohorts[role].cases]
            add_scans(self.output, map(self.store.scans, learned))
        record = describe_run(self.config, cohorts, self.device, self.processes)
        names = logger_names(self.options.loggers) if self.processes.first else []
        with opened_loggers(names, self.output, record["configuration"]) as self._loggers:
            result = self._train(cohorts, splits, record)
            for logger in self._loggers:
                logger.add("measures", 0, numbers_of({"macro_auc": result.macro_auc, "accuracy": result.accuracy}))
        if self.processes.first:
            self.stop.clear()  # requested after the last step: nothing is left to stop
        return result

    def checked(self) -> tuple[dict[str, Cohort], list[tuple[Split, int]]]:
        """Return cohorts by role and the folds to run; does all checks that are possible before a case is read."""
        parts = self.parts_done()
        check_batches(self.config, parts, self.processes.world)
        check_steps(self.config, parts)
        check_untaught(parts, self.options)
        check_doses(self.config, self.options)
        self.initial_note = check_student(self.config, "answers" in parts) if "student" in parts else ""
        if self.initial_note:
            self.on_progress(0.0, self.initial_note)
        cohorts = self._open()
        check_apart(cohorts)
        check_ct(self.config, parts, cohorts)
        if "student" in parts:
            check_student_cases(self.config, cohorts)
        if "answers" in parts:
            check_branch(self.config, cohorts["cohort"])
        chosen = self._chosen(self._splits(cohorts))
        if self.options.stage == "student" and "answers" in parts:
            check_teachers(self.output, [number for _, number in chosen])
        return cohorts, chosen

    def _splits(self, cohorts: dict[str, Cohort]) -> list[Split]:
        return make_folds(cohorts["cohort"].graded, self.config.folds, self.config.seed, self.config.data.validation)

    # -- cohorts

    def _open(self) -> dict[str, Cohort]:
        options, size = self.options, self.config.data.size
        whole = self.config.data.doses  # prepare the whole body, also in the external cohort
        given = {"cohort": options.cohort, "unlabeled": options.unlabeled, "external": options.external}
        check_map(options.map, *given.values())
        cohorts = {r: open_cohort(spec, size, whole, self.task, options.map) for r, spec in given.items() if spec}
        if not cohorts["cohort"].graded:
            raise UsageError(
                f"No case of the cohort {cohorts['cohort'].name} has a grade; training needs grades ("
                f"{', '.join(self.task.class_names)}), in the column 'grade' of a list, or in a grades.csv in the "
                "folder. CT without grades can be given as the unlabeled cohort."
            )
        cohorts["cohort"] = replace(cohorts["cohort"], cases=cohorts["cohort"].graded)
        return cohorts

    def _prepare(self, cohorts: dict[str, Cohort]) -> dict[str, Cohort]:
        """Prepare every case once, divided among the processes, and share the list of unreadable cases among them."""
        self._progress = WeightedProgress(self.costs(cohorts), self.on_progress)
        doses = {role: self.cache / "doses" if role in self.dosed_roles else None for role in cohorts}
        makes = {role: partial(prepare_one, folder, self.store) for role, folder in doses.items()}
        own = slice(self.processes.rank, None, self.processes.world)
        on_progress = self._progress.part("prepare")
        failed = prepare_cohorts(cohorts, makes, own, Engine(self.options.jobs), on_progress, self.stop.check)
        for part in self.processes.gather(failed):
            failed = {role: failed[role] | part[role] for role in failed}
        skip = self.options.skip_unreadable
        return {role: without(cohort, failed[role], skip) for role, cohort in cohorts.items()}

    @property
    def dosed_roles(self) -> tuple[str, ...]:
        """Return the cohorts that the dose branch is trained on; empty if no teacher is trained."""
        return ("cohort", "unlabeled") if self.config.data.doses and "teacher" in self.parts_done() else ()

    def _truncated(self, cohorts: dict[str, Cohort]) -> dict[str, dict[str, str]]:
        """Return for each cohort the scans for which no low dose can be simulated, with the reason."""
        roles = [role for role in self.dosed_roles if role in cohorts]
        return {role: at_native_dose(self.cache / "doses", self.store, cohorts[role].cases) for role in roles}

    def costs(self, cohorts: dict[str, Cohort]) -> dict[str, float]:
        """Return the parts of the run with their costs relative to preparing a case."""
        parts = {"prepare": COST["prepare"] * sum(len(c) for c in cohorts.values())}
        for split, number in self._chosen(self._splits(cohorts)):
            costs = fold_costs(self.config, split, len(cohorts.get("unlabeled", ())))
            parts |= {f"{part}{number}": cost for part, cost in costs.items() if part in self.parts_done()}
            parts[f"predict{number}"] = COST["answers"] * (len(split.test) + len(cohorts.get("external", ())))
        return parts

    def parts_done(self) -> set[str]:
        """Return the parts of a fold (see `fold_costs`) that the options request."""
        stage, asks = self.options.stage, self._needs_teacher()
        names = {"views"}
        if stage == "teacher" or (stage == "both" and asks):
            names |= {"teacher-heads", "teacher"}
        if stage != "teacher":
            names |= {"student-heads", "student"} | ({"answers"} if asks else set())
        return names

    def _chosen(self, splits: list[Split]) -> list[tuple[Split, int]]:
        if self.options.fold >= len(splits):
            raise UsageError(
                f"There is no fold {self.options.fold}; with {len(splits)} folds they are 0 to {len(splits) - 1}."
            )
        return [(s, n) for n, s in enumerate(splits) if self.options.fold in (-1, n)]

    # -- training

    def _needs_teacher(self) -> bool:
        return make_distiller(self.config.method, self.config.distillation, 1, 1).needs_teacher

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
        if self.options.stage == "student" and self._needs_teacher():
            for split, number in self._chosen(splits):  # for all folds, before the student of the first one is trained
                trained_teacher(self.output, self.config, number, split, self._unlabeled(cohorts))
        for split, number in self._chosen(splits):
            fold = self._fold(split, number, self._unlabeled(cohorts))
            teacher = None
            if self.options.stage == "teacher" or self._needs_teacher():
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
                save_ensemble(self.output / ENSEMBLE, chosen, self.config, record, metrics, self.task)
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
