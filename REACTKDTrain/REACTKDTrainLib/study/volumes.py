"""The level of volumes: whole trainings of teachers and students on hospital-size cohorts, as the paper has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.writing.tensor_files import write_tensors
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.folds import Split, make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.data.dose_data import DoseSource, prepare_fields_or_note
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.distillation.targets_cache import weights_hash
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.study.answers import answers
from REACTKDTrainLib.study.presets import HEADLINE, Preset
from REACTKDTrainLib.study.runs import Run
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold import FoldRun
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.predictions import predict_teacher

#: the eight rows of Table II: dose teacher, region graph, CBAM3D
ABLATIONS = tuple((dose, graph, cbam) for dose in (False, True) for graph in (False, True) for cbam in (False, True))


def ablation_name(dose: bool, graph: bool, cbam: bool) -> str:
    """'dose+graph+cbam', or 'neither'."""
    parts = [name for name, on in (("dose", dose), ("graph", graph), ("cbam", cbam)) if on]
    return "+".join(parts) or "neither"


@dataclass(eq=False)
class VolumeStudy:
    """Runs on volumes. cohort: what to train on; output: of the study; cache: of prepared cases and answers;
    grades: what those of the cohorts mean, see `open_cohort`.
    """

    preset: Preset
    cohort_spec: str
    output: Path
    cache: Path
    device: torch.device = torch.device("cpu")
    engine: Engine = HERE
    grades: str = ""
    _teachers: dict[int, Teacher] = field(default_factory=dict)
    _bases: dict[int, FoldRun] = field(default_factory=dict)

    @property
    def training(self) -> TrainingConfig:
        """Settings of every run, but for what a row changes."""
        return self.preset.training

    @cached_property
    def cohort(self) -> Cohort:
        """Graded cases. Raises: UsageError where there are none."""
        cohort = open_cohort(self.cohort_spec, self.training.data.size, self.training.data.doses, grades=self.grades)
        if not cohort.graded:
            raise UsageError(f"No case of the cohort {cohort.name} has a grade; the study needs grades.")
        return replace(cohort, cases=cohort.graded)

    @cached_property
    def store(self) -> PreparedStore:
        """Prepared cases, shared by studies with the same settings."""
        return self.training.data.store(self.cache)

    @cached_property
    def splits(self) -> list[Split]:
        """The same for all methods and seeds."""
        return make_folds(self.cohort.cases, self.training.folds, 0, self.training.data.validation)

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Every case once."""
        self.store.prepare(self.cohort.cases, on_progress, self.engine)
        if self.training.data.doses:
            for case in self.cohort.cases:
                prepare_fields_or_note(self.cache / "doses", self.store, case)

    # -- folds

    def base(self, fold: int) -> FoldRun:
        """The fold with the study's own settings: its teachers serve all methods and seeds."""
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
        """Trained once, frozen; read again in a later session."""
        if fold not in self._teachers:
            self._teachers[fold] = self.base(fold).teacher()
        return self._teachers[fold]

    def student(self, config: TrainingConfig, fold: int, key: str) -> tuple[Student, FoldRun]:
        """Train one student of a fold with the shared teachers, in the folder `work/<key>`; returns it and its fold."""
        run = self._fold(config, fold, self.output / "work" / key, self.base(fold))
        needs = make_distiller(config.method, config.distillation, 1, 1).needs_teacher
        # the plain student shares the teachers' CBAM3D as well: rows differ in the method alone
        return run.student(self.teacher(fold) if needs or config.student.cbam else None), run

    # -- runs

    def config_of(self, method: str, seed: int, dose: bool = True, graph: bool = True, cbam: bool = True):
        """The settings of a row. dose, graph, cbam: False leaves out the dose teacher, the region graph, or CBAM3D."""
        own = self.training
        distillation = replace(
            own.distillation,
            teacher="fused" if dose else "structure_function",
            graph=own.distillation.graph if graph else 0.0,
        )
        return replace(
            own, method=method, seed=seed, distillation=distillation, student=replace(own.student, cbam=cbam)
        )

    def teacher_runs(self) -> list[Run]:
        """Answers of the teachers on the test cases: nobody's claim, but what there was to transfer."""
        return [
            Run("teachers", "teachers", f, 0, self.recipe_of_teacher(f), partial(self._teacher, f), 3)
            for f in self.folds
        ]

    def method_runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[Run]:
        """Rows of Tables I and III; the headline rows of all folds first, so that a study cut short has them."""
        groups = ([m for m in methods if m in HEADLINE], [m for m in methods if m not in HEADLINE])
        return [
            self._run("methods", m, f, s, self.config_of(m, s))
            for s in seeds
            for group in groups
            for f in self.folds
            for m in group
        ]

    def ablation_runs(self) -> list[Run]:
        """Rows of Table II; those without a graph are distilled by logits alone."""
        return [
            self._run("ablation", ablation_name(*on), f, 0, self.config_of("react-kd", 0, *on))
            for f in self.folds
            for on in ABLATIONS
        ]

    @property
    def folds(self) -> range:
        """Numbers of the folds."""
        return range(len(self.splits))

    def _run(self, part: str, row: str, fold: int, seed: int, config: TrainingConfig) -> Run:
        recipe = {**self.recipe_of_teacher(fold), "configuration": config.to_dict()}
        make = partial(self.student_run, config, fold)
        return Run(part, row, fold, seed, recipe, make)

    def recipe_of_teacher(self, fold: int) -> dict:
        """All that the teachers of a fold depend on."""
        split = self.splits[fold]
        sides = {"train": split.train, "inner": split.validation, "test": split.test}
        parts = {name: [c.fingerprint for c in side] for name, side in sides.items()}
        return {"configuration": self.training.to_dict(), **parts}

    def _teacher(self, fold: int) -> dict[str, np.ndarray]:
        teacher, data = self.teacher(fold), self.base(fold).data["test"]
        found: dict[str, dict[str, tuple[float, ...]]] = {}
        for row in predict_teacher(teacher, data, fold):
            found.setdefault(row.model, {})[row.case] = row.probabilities
        names = [case.id for case in data.cases]
        answers_of = {
            f"p_{model}": np.array([rows[n] for n in names]) for model, rows in found.items() if len(rows) == len(names)
        }
        return {**self.names_of(data), **answers_of, "weights": np.array(weights_hash(teacher))}

    def student_run(self, config: TrainingConfig, fold: int) -> dict[str, np.ndarray]:
        """Train a student of a fold, keep its weights, and return its answers to validation and test cases."""
        key = config.hash()[:16]
        student, run = self.student(config, fold, key)
        inner = {f"inner_{k}": v for k, v in answers(student, run.data["validation"]).items() if k.startswith("p_")}
        test = run.data["test"]
        write_tensors(self.weights(config, fold), student.state_dict())
        grades = np.array([case.grade for case in run.data["validation"].cases])
        return {**self.names_of(test), **answers(student, test), **inner, "inner_grade": grades}

    def weights(self, config: TrainingConfig, fold: int) -> Path:
        """Where a student is kept."""
        return self.output / "work" / config.hash()[:16] / f"fold{fold}" / "student.pt"

    @staticmethod
    def names_of(data: FoldData) -> dict[str, np.ndarray]:
        """Return id, patient and grade of each case, as the file of a run keeps them."""
        return {
            "case": np.array([case.id for case in data.cases]),
            "patient": np.array([case.patient for case in data.cases]),
            "grade": np.array([case.grade for case in data.cases]),
        }
