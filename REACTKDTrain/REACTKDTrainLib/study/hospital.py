"""Experiments at hospital size, as in the paper: one cohort in folds, teachers for each fold, a student for every row.

Subclasses define what is trained (whole volumes, or heads on node vectors); rows, folds and files of runs are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import compress, product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import HERE, Engine
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.folds import Split, make_folds
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.data.scan_content import known_scans
from REACTKDTrainLib.study.presets import HEADLINE, Preset
from REACTKDTrainLib.study.runs import Run
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.run_checks import check_scans_apart

NEITHER = "neither"


@dataclass(eq=False)
class HospitalStudy(ABC):
    """Runs at hospital size. cohort_spec: the training cohort; output: of the study; cache: of prepared cases and
    targets; grades: the meaning of the cohorts' grades, see `open_cohort`.

    A subclass defines `PARTS`, the components that REACT-KD's Table II removes (name -> for display), and the training.
    """

    preset: Preset
    cohort_spec: str
    output: Path
    cache: Path
    device: torch.device = torch.device("cpu")
    engine: Engine = HERE
    grades: str = ""

    PARTS: ClassVar[Mapping[str, str]] = {}

    @property
    def training(self) -> TrainingConfig:
        """Return the settings of every run, except for what a row changes."""
        return self.preset.training

    @cached_property
    def cohort(self) -> Cohort:
        """Return the graded cases. Raises: UsageError if there are none."""
        cohort = open_cohort(self.cohort_spec, self.training.data.size, self.training.data.doses, grades=self.grades)
        if not cohort.graded:
            raise UsageError(f"No case of the cohort {cohort.name} has a grade; the study needs grades.")
        return replace(cohort, cases=cohort.graded)

    @cached_property
    def splits(self) -> list[Split]:
        """Return the splits, the same for all methods and seeds."""
        return make_folds(self.cohort.cases, self.training.folds, 0, self.training.data.validation)

    @property
    def folds(self) -> range:
        """Return the numbers of the folds."""
        return range(len(self.splits))

    # -- what a subclass does

    @abstractmethod
    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Prepare every case once. Raises: see `check_scans`, and the subclasses."""

    @abstractmethod
    def prepare_outside(self, cases: Sequence[CohortCase], on_progress: OnProgress = no_progress) -> None:
        """Prepare every case of another cohort once."""

    @abstractmethod
    def scans(self, case: CohortCase) -> Mapping[str, str]:
        """Return the `scan_contents` that are stored of a case; empty if there are none."""

    def check_scans(self, external: Cohort | None = None) -> None:
        """Check that no scan is of two patients of the cohort, or in the external cohort too. Raises: SameScan."""
        cohorts = {"cohort": self.cohort} | ({} if external is None else {"external": external})
        check_scans_apart(cohorts, lambda _role, case: known_scans(self.scans(case), case))

    @abstractmethod
    def prepared(self, case: CohortCase) -> PreparedCase:
        """Return a case with its images on the network's grid, for figures."""

    @abstractmethod
    def teacher_run(self, fold: int) -> dict[str, np.ndarray]:
        """Return names, and 'p_<teacher>' (n, 3) of the test cases of a fold."""

    @abstractmethod
    def student_run(self, config: TrainingConfig, fold: int) -> dict[str, np.ndarray]:
        """Train a student of a fold; return names and `answers` of its test cases, and 'inner_p_<inputs>' (m, 3) and
        'inner_grade' (m,) of its validation cases.
        """

    @abstractmethod
    def outside_run(self, config: TrainingConfig, fold: int, cases: Sequence[CohortCase]) -> dict[str, np.ndarray]:
        """Return names, and 'p_ct' (n, 3) of cases of another cohort, predicted by the student of a fold."""

    @abstractmethod
    def without(self, config: TrainingConfig, parts: Collection[str]) -> TrainingConfig:
        """Return the settings without some of `PARTS`."""

    # -- runs

    def methods(self, names: Sequence[str]) -> list[str]:
        """Return those of these methods that are possible here."""
        return list(names)

    def config_of(self, method: str, seed: int, parts: Collection[str] | None = None) -> TrainingConfig:
        """Return the settings of a row. parts: the `PARTS` that are kept; None: all."""
        own = replace(self.training, method=method, seed=seed)
        return own if parts is None else self.without(own, [name for name in self.PARTS if name not in parts])

    @property
    def ablations(self) -> dict[str, list[str]]:
        """Return row of Table II -> the parts that it has: 'neither' first, all of them last."""
        rows = [list(compress(self.PARTS, on)) for on in product((False, True), repeat=len(self.PARTS))]
        return {"+".join(parts) or NEITHER: parts for parts in rows}

    def teacher_runs(self) -> list[Run]:
        """Predictions of the teachers on the test cases. The study makes no claim on them; they bound what can be
        distilled.
        """
        return [
            Run("teachers", "teachers", f, 0, self.recipe_of_teacher(f), partial(self.teacher_run, f), 3)
            for f in self.folds
        ]

    def method_runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[Run]:
        """Rows of Tables I and III; first the headline rows of all folds, so that an interrupted study has them."""
        own = self.methods(methods)
        groups = ([m for m in own if m in HEADLINE], [m for m in own if m not in HEADLINE])
        return [
            self._run("methods", m, f, s, self.config_of(m, s))
            for s in seeds
            for group in groups
            for f in self.folds
            for m in group
        ]

    @property
    def ablation_seeds(self) -> Sequence[int]:
        """Return the seeds of every row of Table II."""
        return (0,)

    def ablation_runs(self) -> list[Run]:
        """Return the runs of Table II."""
        return [
            self._run("ablation", name, f, s, self.config_of("react-kd", s, parts))
            for s in self.ablation_seeds
            for f in self.folds
            for name, parts in self.ablations.items()
        ]

    def _run(self, part: str, row: str, fold: int, seed: int, config: TrainingConfig) -> Run:
        return Run(part, row, fold, seed, self.recipe_of(config, fold), partial(self.student_run, config, fold))

    def recipe_of(self, config: TrainingConfig, fold: int) -> dict[str, Any]:
        """Return everything that a student of a fold depends on."""
        return {**self.recipe_of_teacher(fold), "configuration": config.to_dict()}

    def recipe_of_teacher(self, fold: int) -> dict[str, Any]:
        """Return everything that the teachers of a fold depend on."""
        split = self.splits[fold]
        sides = {"train": split.train, "inner": split.validation, "test": split.test}
        parts = {name: [c.fingerprint for c in side] for name, side in sides.items()}
        return {"configuration": self.training.to_dict(), **parts}


def names_of(cases: Sequence[CohortCase]) -> dict[str, np.ndarray]:
    """Return id, patient and grade of each case, as stored in the file of a run."""
    return {
        "case": np.array([case.id for case in cases]),
        "patient": np.array([case.patient for case in cases]),
        "grade": np.array([case.grade for case in cases]),
    }
