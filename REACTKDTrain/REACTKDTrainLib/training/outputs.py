"""Outputs of a run after its folds: predictions, measures, figures, and the model folder with its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.student.bundle import OF_RUN, Bundle
from REACTKDLib.core.student.monai_files import USE
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.trained_on import TrainedOn
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.training_run import fold_files
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.base import Cohort
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.normalization import LiverWindow
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.results.learning_curves import learning_curves
from REACTKDTrainLib.results.model_card import ModelCard
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.predictions import averaged, measure, read_rows, write_metrics, write_predictions

NOT_CLINICAL = {
    True: "trained on digital phantoms: not for clinical use",
    False: "trained in a research run: not for clinical use",
}


@dataclass(frozen=True)
class Result:
    """The result of a run. macro_auc, accuracy: of the student with all images, None if nothing was evaluated.

    ensemble: the folder of the ensemble of all folds, None if fewer than two were trained.
    """

    macro_auc: float | None
    accuracy: float | None
    bundle: Path | None
    ensemble: Path | None = None

    def summary(self) -> str:
        """Return one line for display."""
        measured = "nothing was measured (teachers alone, or no unseen case)"
        if self.macro_auc is not None:
            measured = f"macro AUC {self.macro_auc:.3f}, accuracy {self.accuracy:.3f} on unseen cases"
        if self.bundle is None:
            return measured
        together = f"; all folds as one model: {self.ensemble}" if self.ensemble else ""
        return f"{measured}; model: {self.bundle}{together}"


@dataclass(frozen=True, eq=False)
class Chosen:
    """The student of a fold, a candidate for the model folder.

    score: selection criterion, see `FoldRun.score`. trained_on: the images of the cases that this fold was trained on.
    """

    score: float
    student: Student
    window: LiverWindow
    temperature: float
    fold: int
    trained_on: TrainedOn


def write_outcome(
    output: Path, config: TrainingConfig, cohorts: dict[str, Cohort], record: dict, chosen: Sequence[Chosen]
) -> tuple[Result, dict]:
    """Write the files of the whole run, from all folds that are available, and also return its measures.

    chosen: the students of the folds of this call. The best of them, or the student of another fold that an earlier
    call left in the model folder if that is better, is written there.

    Raises: OutputNotWritable.
    """
    test, external = (
        [read_rows(path) for path in fold_files(output, f"{part}.json").values()] for part in ("test", "external")
    )
    rows = [row for part in test for row in part]
    phantom, classes = cohorts["cohort"].phantom, cohorts["cohort"].task.class_names
    metrics = {"digital_phantom": phantom, **measure(rows, classes=classes)}
    write_predictions(output / "predictions.csv", rows, classes=classes)
    write_predictions(output / "predictions_by_inputs.csv", rows, True, classes)
    outside = None
    if external:
        joined = averaged(external)
        outside = {"digital_phantom": cohorts["external"].phantom, **measure(joined, classes=classes)}
        write_predictions(output / "predictions_external.csv", joined, classes=classes)
        write_predictions(output / "predictions_external_by_inputs.csv", joined, True, classes)
        metrics["external"] = outside
    write_metrics(output / "metrics.json", metrics)
    learning_curves(output, phantom)
    measured = metrics if rows else (outside or metrics)
    bundle = None
    if chosen:
        bundle = output / OF_RUN
        best = max([*_left(bundle, chosen), *chosen], key=lambda one: one.score)
        shown = {k: v for k, v in measured.items() if k != "external"}
        save_model(bundle, best, config, record, shown, cohorts["cohort"].task)
    return Result(measured.get("macro_auc"), measured.get("accuracy"), bundle), metrics


def _left(folder: Path, chosen: Sequence[Chosen]) -> list[Chosen]:
    """Return the student of another fold in the model folder of the run; empty if there is none, or if its score was
    not stored, as in earlier releases.
    """
    try:
        bundle = Bundle.load(folder)
    except ReactkdError:
        return []
    about, seen = bundle.info["training"], bundle.trained_on
    if about.get("validation_score") is None or seen is None or about["fold"] in [one.fold for one in chosen]:
        return []
    window = LiverWindow.of_preparation(bundle.preparation)
    return [Chosen(about["validation_score"], bundle.student, window, about["temperature"], about["fold"], seen)]


def save_model(
    folder: Path, best: Chosen, config: TrainingConfig, record: dict, metrics: dict, task: Task = HCC_GRADE
) -> Bundle:
    """Write `configs/metadata.json`, `models/model.pt` and `docs/README.md`. metrics: of the whole run."""
    cohort = counts_of(record["cohorts"]["cohort"])
    training = {
        "method": config.method,
        "cohort": cohort,
        "fold": best.fold,
        "folds": config.folds,
        "seed": config.seed,
        "temperature": round(best.temperature, 4),
        "validation_score": number_or_none(best.score),
        "revision": record["revision"],
        "made": datetime.now(timezone.utc).date().isoformat(),
    }
    name = "reactkd-phantom-run" if cohort["digital_phantom"] else "reactkd-run"
    about = {"name": name, "version": "1.0.0", "clinical_use": NOT_CLINICAL[cohort["digital_phantom"]]}
    trained = (config.student.modalities, best.trained_on, config.data.size, best.window)
    metadata = model_metadata(about, *trained, training, metrics, task)
    card = model_card(metadata["reactkd"])
    bundle = Bundle.save(folder, best.student.cpu(), metadata)
    write_text(Path(folder) / "docs" / "README.md", card)
    return bundle


def model_metadata(
    about: Mapping[str, str],
    modalities: Sequence[str],
    trained_on: TrainedOn,
    size: str,
    window: LiverWindow,
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    task: Task = HCC_GRADE,
) -> dict[str, Any]:
    """Return the metadata of a student's model folder, as accepted by `Bundle.save`.

    about: 'name', 'version' and 'clinical_use'. size: of the network's grid, see `cohorts.sizes`; window: of CT.
    training, evaluation: how it was trained and its results, for display. task: the classes and the organ.
    """
    preparation = preparation_of(size, task).to_metadata()
    preparation |= {"ct_center_hu": window.center_hu, "ct_scale_hu": window.scale_hu}
    info = {
        **about,
        "task": task.to_dict(),
        "classes": list(task.class_names),
        "organ": task.organ.title,
        "lesion": task.lesion.title,
        "modalities": list(modalities),
        "trained_on": trained_on.to_metadata(),
        "preparation": preparation,
        "training": training,
        "evaluation": evaluation,
    }
    return {"reactkd": info}


def counts_of(cohort: dict) -> dict:
    """Return what a shared model reveals about its cohort: numbers only.

    cohort: as returned by `describe_run`. Case ids, the reasons for exclusions and the name of a list of patients stay
    with the run; the name of a phantom cohort is not confidential.
    """
    public = {"name": cohort["name"]} if cohort["digital_phantom"] else {}
    kept = {key: cohort[key] for key in ("digital_phantom", "cases", "patients", "grades")}
    return public | kept | {"skipped": len(cohort["skipped"])}


_MEASURED = (
    "Measured on cases that no part of the training saw: out of fold, or the external cohort where there is one fold "
    "only. Intervals: 95 %, bootstrap over patients. With several folds this model is one of those measured."
)


def model_card(info: dict) -> str:
    """Return the model card: what the model is, its training data, its results, and what it must not be used for."""
    training, cohort, metrics = info["training"], info["training"]["cohort"], info["evaluation"]
    grades = ", ".join(f"{n} {name}" for name, n in cohort["grades"].items() if n)
    kind = "digital phantoms" if cohort["digital_phantom"] else "patients"
    shape, spacing = "x".join(map(str, info["preparation"]["shape"])), info["preparation"]["spacing_mm"]
    card = ModelCard(
        info["name"],
        info["clinical_use"],
        details=f"A student of REACT-KD (arXiv 2508.02104). Method `{training['method']}`, fold {training['fold']} of "
        f"0 to {training['folds'] - 1}, seed {training['seed']}, grid {shape} at {spacing:g} mm.",
        intended_use=info["task"]["intended_use"],
        training_data=f"{cohort.get('name', 'A cohort')}: {cohort['cases']} cases of {cohort['patients']} {kind} "
        f"({grades}). Images of these cases: {_images(info['trained_on'])}. An image that is not among them is "
        f"ignored, with a finding.{_organ_hu(info)}",
        evaluation="\n".join(measures_table(metrics)) + "\n\n" + _MEASURED,
        limitations="A lesion without a mask is not taken into account. Other scanners, tracers, contrast phases and "
        f"other {Task.from_dict(info['task']).lesion.many} were not tested. The model does not replace a biopsy.",
        more=USE,
    )
    return str(card)


def _images(trained_on: dict) -> str:
    return ", ".join(f"{name} ({cases} cases)" for name, cases in sorted(trained_on["images"].items()))


def _organ_hu(info: dict) -> str:
    if "organ_hu" not in info["trained_on"]:
        return ""
    (least, most), organ = info["trained_on"]["organ_hu"], Task.from_dict(info["task"]).organ.name
    return f" The {organ} has {least:.0f} to {most:.0f} HU on their CTs; one that differs clearly is reported."


def measures_table(metrics: dict) -> list[str]:
    """Return Markdown rows: inputs, n, macro AUC with interval, accuracy."""
    rows = ["| inputs | cases | macro AUC (95 % interval) | accuracy |", "| --- | --- | --- | --- |"]
    for name, found in metrics.get("inputs", {}).items():
        rows.append(f"| {name} | {found['n']} | {_auc(found)} | {_number(found.get('accuracy'))} |")
    return rows if len(rows) > 2 else ["No case was kept for measuring (one fold and no external cohort)."]


def _auc(found: dict) -> str:
    interval = found.get("macro_auc_interval95") or (None, None)
    if found.get("macro_auc") is None:
        return "not defined (a grade is missing)"
    return f"{found['macro_auc']:.3f} ({_number(interval[0])} to {_number(interval[1])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
