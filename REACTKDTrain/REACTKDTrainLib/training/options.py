"""What a user says to start a run: one field for each parameter of the command line module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.distillation.distiller import check_method
from REACTKDTrainLib.training.config import TrainingConfig

STAGES = ("both", "teacher", "student")


@dataclass(frozen=True)
class RunOptions:
    """cohort: what to train on, see `open_cohort`; unlabeled: CT without grades; external: tested on at the end.

    folds, epochs, batches: 0 keeps what the configuration says. fold: one of them (from 0), -1 all. config: a JSON
    file of settings over those that suit the cohort's size. workers: processes that prepare cases. cache: a folder for
    prepared cases and teachers' answers, to be shared by runs; by default inside `output`.

    Raises: UsageError that names the parameter.
    """

    cohort: str
    output: Path
    unlabeled: str = ""
    external: str = ""
    stage: str = "both"
    method: str = ""
    folds: int = 0
    fold: int = -1
    teacher_epochs: int = 0
    student_epochs: int = 0
    teacher_batch: int = 0
    student_batch: int = 0
    config: Path | None = None
    device: str = "auto"
    workers: int = 1
    seed: int = -1
    resume: bool = False
    skip_unreadable: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        if not str(self.cohort).strip():
            raise UsageError("No cohort was given; give a folder, a datalist, or phantom:hospital to try things out.")
        if not str(self.output).strip() or str(self.output) == ".":
            raise UsageError("No output folder was given; name one for the results.")
        if self.stage not in STAGES:
            raise UsageError(f"There is no stage {self.stage!r}; choose one of {', '.join(STAGES)}.")
        if self.method:
            check_method(self.method)
        for name in ("folds", "teacher_epochs", "student_epochs", "teacher_batch", "student_batch"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"The parameter {_as_in_slicer(name)} cannot be negative; 0 keeps what the configuration says."
                )
        if self.fold < -1:
            raise UsageError("The parameter fold is a number from 0, or -1 for all folds.")
        if self.workers < 1:
            raise UsageError("The parameter workers must be at least 1.")
        if Path(self.output).exists() and not Path(self.output).is_dir():
            raise UsageError("The output is a file; give a folder.")

    def training_config(self, size: str) -> TrainingConfig:
        """All settings: those of a size, changed by the configuration file, then by these options.

        Raises: UsageError that names the setting.
        """
        config = TrainingConfig.for_size(size)
        if self.config is not None:
            config = TrainingConfig.read(self.config, config)
        stages = {}
        for name in ("teacher", "student"):
            stage = getattr(config, f"{name}_stage")
            changes = {
                "epochs": getattr(self, f"{name}_epochs") or stage.epochs,
                "batch": getattr(self, f"{name}_batch") or stage.batch,
            }
            try:
                stages[f"{name}_stage"] = replace(stage, **changes)
            except ValueError as error:
                raise UsageError(f"In the settings {name}_stage: {error}.") from error
        return replace(
            config,
            method=self.method or config.method,
            folds=self.folds or config.folds,
            seed=config.seed if self.seed < 0 else self.seed,
            **stages,
        )


def options_from(told: Mapping[str, Any]) -> RunOptions:
    """From the parameters of the command line module, by their names there ('teacherEpochs'). Raises: UsageError."""
    known = {f.name for f in fields(RunOptions)}
    values = {re.sub(r"[A-Z]", lambda c: f"_{c.group().lower()}", name): value for name, value in told.items()}
    chosen = {name: value for name, value in values.items() if name in known and value not in (None, "")}
    for name in ("output", "config", "cache"):
        if name in chosen:
            chosen[name] = Path(chosen[name])
    return RunOptions(**{"cohort": "", "output": Path(), **chosen})


def _as_in_slicer(name: str) -> str:
    """'teacher_epochs' -> 'teacherEpochs'."""
    return re.sub("_([a-z])", lambda after: after[1].upper(), name)
