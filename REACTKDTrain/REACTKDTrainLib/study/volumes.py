"""Experiments on whole volumes: training of teachers and students on hospital-size cohorts, as in the paper."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.writing.tensor_files import write_tensors
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.data.dose_data import DoseSource, at_native_dose, prepare_fields_or_note
from REACTKDTrainLib.data.graded_lesions import check_lesions
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.targets_cache import weights_hash
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.study.answers import answers
from REACTKDTrainLib.study.hospital import HospitalStudy, names_of
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold import FoldRun
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.predictions import predict_teacher
from REACTKDTrainLib.training.run_checks import check_branch, check_ct


@dataclass(eq=False)
class VolumeStudy(HospitalStudy):
    """Encoders and heads are trained on whole volumes; every method is possible."""

    PARTS: ClassVar = {"dose": "dose teacher", "graph": "region graph", "cbam": "CBAM3D"}
    _teachers: dict[int, Teacher] = field(default_factory=dict)
    _bases: dict[int, FoldRun] = field(default_factory=dict)
    _outside: dict[tuple[str, int], FoldData] = field(default_factory=dict)

    @cached_property
    def store(self) -> PreparedStore:
        """Return the store of prepared cases, shared by studies with the same settings."""
        return self.training.data.store(self.cache)

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Raises: UsageError for a case that a teacher of a row cannot read; TruncatedFieldOfView, see
        `at_native_dose`; GradeWithoutLesion; SameScan; errors of preparing a case.
        """
        check_ct(self.training, {"teacher", "answers"}, {"cohort": self.cohort})
        check_branch(self.without(self.training, ["dose"]), self.cohort)
        self.store.prepare(self.cohort.cases, on_progress, self.engine)
        self._check_lesions(self.cohort.cases)
        self.check_scans()
        if self.training.data.doses:
            for case in self.cohort.cases:
                prepare_fields_or_note(self.cache / "doses", self.store, case)
            at_native_dose(self.cache / "doses", self.store, self.cohort.cases)

    def prepare_outside(self, cases: Sequence[CohortCase], on_progress: OnProgress = no_progress) -> None:
        self.store.prepare(cases, on_progress, self.engine)
        self._check_lesions(cases)

    def scans(self, case: CohortCase) -> Mapping[str, str]:
        return self.store.scans(case)

    def _check_lesions(self, cases: Sequence[CohortCase]) -> None:
        for case in cases:
            check_lesions(case.grade, self.store.lesions(case), case.id)

    def prepared(self, case: CohortCase) -> PreparedCase:
        return self.store.get(case)

    def without(self, config: TrainingConfig, parts: Collection[str]) -> TrainingConfig:
        """Rows without a graph are distilled by logits alone, those without the dose teacher from the other branch."""
        distillation = config.distillation
        if "dose" in parts:
            distillation = replace(distillation, teacher="structure_function")
        if "graph" in parts:
            distillation = replace(distillation, graph=0.0)
        return replace(config, distillation=distillation, student=replace(config.student, cbam="cbam" not in parts))

    # -- folds

    def base(self, fold: int) -> FoldRun:
        """Return the fold with the study's own settings; its teachers are shared by all methods and seeds."""
        if fold not in self._bases:
            folder = self.output / "work" / f"teachers-{self.training.hash()[:16]}"
            self._bases[fold] = self._fold(self.training, fold, folder, None)
        return self._bases[fold]

    def _fold(self, config: TrainingConfig, fold: int, folder: Path, shared: FoldRun | None) -> FoldRun:
        degrade = partial(DoseSource.of, self.cache / "doses") if self.training.data.doses else None
        return FoldRun(
            config, fold, self.splits[fold], self.store, folder, self.cache, self.device,
            degrade=degrade, shared=shared, maps=True,
        )  # fmt: skip

    def teacher(self, fold: int) -> Teacher:
        """Return the teacher, trained once and frozen; a later process loads it."""
        if fold not in self._teachers:
            self._teachers[fold] = self.base(fold).teacher()
        return self._teachers[fold]

    def student(self, config: TrainingConfig, fold: int, key: str) -> tuple[Student, FoldRun]:
        """Train a student of a fold with the shared teachers, in the folder `work/<key>`; returns it and its fold."""
        run = self._fold(config, fold, self.output / "work" / key, self.base(fold))
        needs = make_distiller(config.method, config.distillation, 1, 1).needs_teacher
        # the plain student shares the teachers' CBAM3D as well, so that rows differ only in the method
        return run.student(self.teacher(fold) if needs or config.student.cbam else None), run

    # -- runs

    def teacher_run(self, fold: int) -> dict[str, np.ndarray]:
        teacher, data = self.teacher(fold), self.base(fold).data["test"]
        found: dict[str, dict[str, tuple[float, ...]]] = {}
        for row in predict_teacher(teacher, data, fold):
            found.setdefault(row.model, {})[row.case] = row.probabilities
        ids = [case.id for case in data.cases]
        answers_of = {
            f"p_{model}": np.array([rows[n] for n in ids]) for model, rows in found.items() if len(rows) == len(ids)
        }
        return {**names_of(data.cases), **answers_of, "weights": np.array(weights_hash(teacher))}

    def student_run(self, config: TrainingConfig, fold: int) -> dict[str, np.ndarray]:
        """See `HospitalStudy`; the weights are stored."""
        student, run = self.student(config, fold, config.hash()[:16])
        inner = {f"inner_{k}": v for k, v in answers(student, run.data["validation"]).items() if k.startswith("p_")}
        test = run.data["test"]
        write_tensors(self.weights(config, fold), student.state_dict())
        grades = np.array([case.grade for case in run.data["validation"].cases])
        return {**names_of(test.cases), **answers(student, test), **inner, "inner_grade": grades}

    def weights(self, config: TrainingConfig, fold: int) -> Path:
        """Return the path of a student's weights."""
        return self.output / "work" / config.hash()[:16] / f"fold{fold}" / "student.pt"

    def outside_run(self, config: TrainingConfig, fold: int, cases: Sequence[CohortCase]) -> dict[str, np.ndarray]:
        path = self.weights(config, fold)
        if not path.is_file():
            self.student_run(config, fold)
        student = Student(config.student)
        student.load_state_dict(torch.load(path, weights_only=True))
        key = (" ".join(case.fingerprint for case in cases), fold)
        if key not in self._outside:  # opened with the fold's window
            maker = self.base(fold).data["test"].maker
            self._outside[key] = FoldData(cases, self.store, maker, room_voxels=0)
        found = answers(student.to(self.device).eval(), self._outside[key], (("ct",),))
        return {**names_of(cases), "p_ct": found["p_ct"]}
