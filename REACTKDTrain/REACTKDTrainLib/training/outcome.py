"""What a run leaves when all its folds are done: predictions, measures, figures, the model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.results.learning_curves import learning_curves
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.model import save_model
from REACTKDTrainLib.training.predictions import averaged, measure, read_rows, write_metrics, write_predictions


@dataclass(frozen=True)
class Result:
    """What a run ends with. macro_auc, accuracy: of the student with all images, None where nothing was measured."""

    macro_auc: float | None
    accuracy: float | None
    bundle: Path | None

    def summary(self) -> str:
        """One line for people."""
        measured = "nothing was measured (teachers alone, or no unseen case)"
        if self.macro_auc is not None:
            measured = f"macro AUC {self.macro_auc:.3f}, accuracy {self.accuracy:.3f} on unseen cases"
        return f"{measured}; model: {self.bundle}" if self.bundle else measured


@dataclass(frozen=True, eq=False)
class Chosen:
    """The student that goes into the model folder, and by what it was chosen. score: see `FoldRun.score`."""

    score: float
    student: Student
    window: LiverWindow
    temperature: float
    fold: int


def write_outcome(
    output: Path, config: TrainingConfig, cohorts: dict[str, Cohort], record: dict, best: Chosen | None
) -> Result:
    """Write the files of the whole run, from all folds that are there. best: None where no student was trained.

    Raises: OutputNotWritable.
    """
    test = [read_rows(p) for p in sorted(output.glob("fold*/test.json"))]
    external = [read_rows(p) for p in sorted(output.glob("fold*/external.json"))]
    rows = [row for part in test for row in part]
    phantom = cohorts["cohort"].phantom
    metrics = {"digital_phantom": phantom, **measure(rows)}
    write_predictions(output / "predictions.csv", rows)
    write_predictions(output / "predictions_by_inputs.csv", rows, subsets=True)
    outside = None
    if external:
        joined = averaged(external)
        outside = {"digital_phantom": cohorts["external"].phantom, **measure(joined)}
        write_predictions(output / "predictions_external.csv", joined)
        write_predictions(output / "predictions_external_by_inputs.csv", joined, subsets=True)
        metrics["external"] = outside
    write_metrics(output / "metrics.json", metrics)
    learning_curves(output, phantom)
    told = metrics if rows else (outside or metrics)
    bundle = None
    if best is not None:
        bundle = output / "bundle"
        shown = {k: v for k, v in told.items() if k != "external"}
        save_model(bundle, best.student, best.window, config, record, shown, best.temperature, best.fold)
    return Result(told.get("macro_auc"), told.get("accuracy"), bundle)
