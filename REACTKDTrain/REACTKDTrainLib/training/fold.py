"""One fold: train the teachers, cache their targets, train the student, and predict the held-out cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import subset_name
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.worker.training_run import STAGES
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.folds import Split
from REACTKDTrainLib.data.augmentation import Augmentation
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.data.view_maker import ViewMaker
from REACTKDTrainLib.distillation.auxiliary import LatentRegression
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.targets_cache import TargetCache, weights_hash
from REACTKDTrainLib.models.node_batches import fit_teacher_scales, start_heads
from REACTKDTrainLib.models.student_graph import fit_fused_scale, fit_student_scales, images_read, predict_views
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.progress import WeightedProgress
from REACTKDTrainLib.training.bindings import former_student_binding, student_binding, teacher_binding, trained_teacher
from REACTKDTrainLib.training.cached_teacher import CachedTeacher
from REACTKDTrainLib.training.calibration import apply_temperature, fit_temperature
from REACTKDTrainLib.training.checkpoint import load_checkpoint
from REACTKDTrainLib.training.config import StageConfig, TrainingConfig
from REACTKDTrainLib.training.device import encode_in_bfloat16
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.loggers import RunLogger
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.randomness import seed_of, seeded
from REACTKDTrainLib.training.stages import (
    Degrade,
    Learner,
    StudentStage,
    TeacherHeadsStage,
    TeacherStage,
    share_cbam,
    warm_start,
)
from REACTKDTrainLib.training.stop import StopFile
from REACTKDTrainLib.training.trainer import Stage, Trainer

#: cost of a step relative to preparing a case, for progress
COST = {
    "prepare": 1.0,
    "views": 0.4,
    "teacher-heads": 0.01,
    "teacher": 0.7,
    "answers": 0.3,
    "student-heads": 0.01,
    "student": 1.5,
}


@dataclass(eq=False)
class FoldRun:
    """Runs one fold in `folder`/fold<number>. split: its cases; no patient is in two parts.

    degrade: makes the function that turns a view and a seed into the dose branch's CT, given the window; None: original
    dose. shared: another run of the same fold, whose window and opened cases are reused. maps: keep maps in the
    teachers' targets even for methods that need none, so that other methods can reuse the targets.
    """

    config: TrainingConfig
    number: int
    split: Split
    store: PreparedStore
    folder: Path
    cache: Path
    device: torch.device = torch.device("cpu")
    unlabeled: Sequence[CohortCase] = ()
    degrade: Callable[[PreparedStore, Sequence[CohortCase], LiverWindow, Augmentation], Degrade] | None = None
    processes: Processes = field(default_factory=Processes)
    stop: StopFile | None = None
    progress: WeightedProgress = field(default_factory=lambda: WeightedProgress({}))
    shared: FoldRun | None = None
    maps: bool = False
    loggers: Sequence[RunLogger] = ()

    def __post_init__(self) -> None:
        self.seed = seed_of(self.config.seed, "fold", self.number) % 2**31
        if self.shared is not None:
            self.window, self.data, self._unlabeled = self.shared.window, self.shared.data, self.shared._unlabeled
            return
        own = self.split.train if self.config.data.window == "fold" else ()
        self.window = LiverWindow.of(map(self.store.get, own), self.store.preparation)
        maker = ViewMaker(self.window, self.config.data.augmentation, self.config.seed, folder=self.cache / "views")
        views = self.config.data.views
        self.data = {
            "train": FoldData(self.split.train, self.store, maker, views),
            "validation": FoldData(self.split.validation, self.store, maker),
            "test": FoldData(self.split.test, self.store, maker),
        }
        self._unlabeled = FoldData(self.unlabeled, self.store, maker) if self.unlabeled else None

    # -- teachers

    def teacher(self, train: bool = True) -> Teacher:
        """Return the trained teacher, frozen. train: False loads it from the folder and raises if it is missing.

        Raises: UsageError, see `trained_teacher`; Stopped.
        """
        config = self.config
        with seeded(seed_of(self.seed, "teacher")):
            teacher = Teacher(config.teacher)
        teacher.to(self.device)
        encode_in_bfloat16(teacher.encoders.values(), self.device, config.amp)
        of_fold = (config, self.number, self.split, self.unlabeled)
        if not train:
            teacher.load_state_dict(trained_teacher(self.folder, *of_fold))
            return teacher.eval().requires_grad_(False)
        binding = teacher_binding(*of_fold)
        data, validation = self.data["train"], self.data["validation"]
        fit_teacher_scales(teacher, self.open_views())
        if config.teacher.blocks and (config.teacher_heads.epochs or config.teacher_heads.steps):
            stage = TeacherHeadsStage(teacher, data, validation, config.loss)
            self._run(stage, config.teacher_heads, binding)
        stage = TeacherStage(
            teacher,
            data,
            validation,
            config.loss,
            self._degrade(self.split.train),
            self._unlabeled,
            self._degrade(self.unlabeled) if self.unlabeled else None,
        )
        self._run(stage, config.teacher_stage, binding)
        return teacher.eval().requires_grad_(False)

    def open_views(self) -> list[View]:
        """Make every view that a stage uses, divided among the processes, so that none is made twice and the time shows
        in the progress. Returns view 0 of every training case, without voxels.
        """
        train, validation, others = self.data["train"], self.data["validation"], self._unlabeled
        wanted = [(train, i, n) for i in range(len(train)) for n in range(train.views)]
        wanted += [(data, i, 0) for data in (validation, others) if data is not None for i in range(len(data))]
        own = wanted[self.processes.rank :: self.processes.world]
        on_progress = self.progress.part(f"views{self.number}")
        for done, (data, index, number) in enumerate(own, start=1):
            data.light(index, number)
            on_progress(done / len(own), self.named("opening views"))
            if self.stop is not None:
                self.stop.check()
        self.processes.wait()
        return [train.light(index) for index in range(len(train))]

    def _degrade(self, cases: Sequence[CohortCase]) -> Degrade | None:
        how = self.config.data.augmentation
        return None if self.degrade is None else self.degrade(self.store, cases, self.window, how)

    # -- student

    def student(self, teacher: Teacher | None) -> Student:
        """Return the trained student. teacher: frozen; a student with CBAM3D uses the teacher's, even if its other
        weights are from an initial model. None is valid only for a method that needs no teacher. Raises: Stopped,
        UsageError.
        """
        config = self.config
        with seeded(seed_of(self.seed, "student")):
            student = Student(config.student)
            distiller = make_distiller(
                config.method, config.distillation, config.student.widths[-1], config.teacher.width
            )
            auxiliary = LatentRegression(config.student.hidden, self.split.train) if config.loss.auxiliary else None
        if distiller.needs_teacher and teacher is None:
            raise UsageError(f"The method {config.method} needs a teacher; run the stage 'teacher' or 'both' first.")
        if teacher is not None:
            share_cbam(student, teacher.cbam)
        learner = Learner(student, distiller, auxiliary).to(self.device)
        encode_in_bfloat16([student.encoders] if student.fused_size else [], self.device, config.amp)
        targets_of = self._cached(teacher, distiller.needs_maps or self.maps) if distiller.needs_teacher else None
        data, validation = self.data["train"], self.data["validation"]
        of_fold = (config, self.number, self.split, self.unlabeled, teacher is not None)
        binding, former = student_binding(*of_fold), (former_student_binding(*of_fold),)
        taught_by = "" if teacher is None else weights_hash(teacher)
        done = load_checkpoint(self.folder / f"fold{self.number}" / "student" / "last.pt", binding, former) is not None
        light = self.open_views()
        if config.student_stage.initial:
            if warm_start(student, config.student_stage.initial, teacher is not None) and not done:
                fit_fused_scale(student, map(data.view, range(len(data))))
        else:
            start_heads(student)
            if not done:
                fit_student_scales(student, light)
                fit_fused_scale(student, map(data.view, range(len(data))))
        heads = config.student_heads.epochs or config.student_heads.steps
        if student.fixed_size and heads and not config.student_stage.initial:
            stage = StudentStage(learner, data, validation, config.loss, targets_of, encode=False)
            self._run(stage, config.student_heads, binding, taught_by, former)
        for name, parameter in student.named_parameters():
            if name.startswith(config.student_stage.frozen):
                parameter.requires_grad_(False)
        stage = StudentStage(learner, data, validation, config.loss, targets_of)
        self._run(stage, config.student_stage, binding, taught_by, former)
        self._calibrate(student.eval())
        return student

    def _cached(self, teacher: Teacher, maps: bool) -> CachedTeacher:
        branch = self.config.distillation.teacher
        on_progress = self.progress.part(f"answers{self.number}")
        cached = CachedTeacher(teacher, self.data["train"], TargetCache(self.cache / "targets"), maps, branch)
        cached.compute(
            self.processes,
            lambda fraction, text: on_progress(fraction, self.named(text)),
            None if self.stop is None else self.stop.check,
        )
        return cached

    def _calibrate(self, student: Student) -> None:
        views = [self.data["validation"].view(i) for i in range(len(self.split.validation))]
        everything = [images_read(student, view.images) for view in views]
        predicted = predict_views(student, views, list(dict.fromkeys(everything)))
        logits = [of[subset_name(images)] for of, images in zip(predicted, everything, strict=True)]
        grades = torch.tensor([view.grade for view in views])
        self.temperature = fit_temperature(torch.stack(logits), grades)
        apply_temperature(student, self.temperature)

    def score(self, student: Student) -> float:
        """Mean log likelihood on the validation cases: the criterion that selects the student of the model folder."""
        stage = StudentStage(
            Learner(student, make_distiller("none", self.config.distillation, 1, 1)),
            self.data["train"],
            self.data["validation"],
            self.config.loss,
        )
        return stage.validate()["score"]

    # -- what both share

    def _run(
        self, stage: Stage, config: StageConfig, binding: str, teacher: str = "", former: Sequence[str] = ()
    ) -> None:
        on_progress = self.progress.part(f"{stage.name}{self.number}")
        Trainer(
            stage,
            config,
            self.folder / f"fold{self.number}" / stage.name,
            self.seed,
            binding,
            self.processes,
            self.stop,
            lambda fraction, text: on_progress(fraction, self.named(text)),
            loggers=self.loggers,
            teacher=teacher,
            former=former,
        ).run()
        stage.module.eval()

    def named(self, what: str) -> str:
        """Return the description of a task with the fold number (as in `--fold`) if there are several folds."""
        return f"fold {self.number} of 0 to {self.config.folds - 1}: {what}" if self.config.folds > 1 else what


def fold_costs(config: TrainingConfig, split: Split, unlabeled: int) -> dict[str, float]:
    """Return the parts of a fold with their expected costs, for progress. unlabeled: number of ungraded cases."""
    train, validation, views = len(split.train), len(split.validation), config.data.views

    def cost(name: str, stage: StageConfig) -> float:
        _, steps = stage.steps_over(train)
        looks = 0 if stage.steps else stage.epochs // stage.every
        return COST[name] * (steps * stage.batch + looks * validation / 2)

    return {
        "views": COST["views"] * (train * views + validation + unlabeled),
        "answers": COST["answers"] * train * views,
        **{part: cost(part, getattr(config, name)) for part, name in STAGES.items()},
    }
