"""The output folder of a training, written by the training's own writers but without training."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.results.log import CsvLog
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.processes import Processes
from REACTKDTrainLib.training.record import describe_run, open_folder
from support.small_training import COHORT, QUICK


class TrainingFolder:
    """A run that advances on request. changes: to the settings `QUICK`."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder.parent / f"{folder.name}-config.json"
        settings.write_text(json.dumps(QUICK | {"folds": 2} | changes), encoding="utf-8")
        options = RunOptions(cohort=COHORT, output=folder, config=settings)
        self.config: TrainingConfig = options.training_config("tiny")
        cohorts = {"cohort": open_cohort(COHORT, "tiny")}
        record = describe_run(self.config, cohorts, torch.device("cpu"), Processes())
        open_folder(folder, record, resume=False)

    def step(self, fold: int, stage: str, count: int, per_epoch: int = 3, first: int = 0) -> None:
        """Log `count` steps from `first` on; the last step of each epoch has a validation."""
        log = CsvLog(self.folder / f"fold{fold}" / stage / "log.csv", first)
        for step in range(first, first + count):
            last = step % per_epoch == per_epoch - 1
            log.add(
                {"epoch": step // per_epoch, "step": step, "loss": 2.0 / (step + 1), "rate": 0.001, "seconds": 0.1,
                 "validation": -1.0 / (step + 1) if last else "", "accuracy": 0.5 if last else ""}
            )  # fmt: skip

    def age(self, seconds: float) -> None:
        """Set all modification times back by this many seconds."""
        for path in (self.folder, *self.folder.rglob("*")):
            before = path.stat().st_mtime - seconds
            os.utime(path, (before, before))

    def finish(self, bundle: bool = True) -> None:
        """Write the measures, and a folder that resembles a model."""
        metrics = {"macro_auc": 0.75, "accuracy": 0.5}
        (self.folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        if bundle:
            (self.folder / "bundle" / "configs").mkdir(parents=True)
            (self.folder / "bundle" / "configs" / "metadata.json").write_text("{}", encoding="utf-8")
