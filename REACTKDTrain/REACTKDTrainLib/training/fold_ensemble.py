"""The folds of a training combined into one ensemble: a model folder for each student, their list, and a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from REACTKDLib.core.student.ensemble import MEMBERS, Ensemble, write_ensemble
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.writing.atomic import write_text, written_beside
from REACTKDTrainLib.results.model_card import ModelCard
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.outputs import Chosen, measures_table, save_model


def save_ensemble(
    folder: Path,
    chosen: Sequence[Chosen],
    config: TrainingConfig,
    record: dict,
    metrics: dict,
    task: Task = HCC_GRADE,
) -> Ensemble:
    """Write `configs/ensemble.json`, `members/fold<n>` and `docs/README.md`, all of them or none.

    chosen: the students of at least two folds. metrics: of the whole run, as in `metrics.json`. task: the task of the
    students. Raises: OutputNotWritable.
    """
    shown = {key: value for key, value in metrics.items() if key != "external"}
    names = [f"fold{one.fold}" for one in chosen]
    with written_beside(folder) as beside:
        for name, one in zip(names, chosen, strict=True):
            save_model(beside / MEMBERS / name, one, config, record, shown, task)
        made = write_ensemble(beside, names)
        write_text(beside / "docs" / "README.md", ensemble_card(made, metrics))
    return Ensemble.load(folder)


def ensemble_card(ensemble: Ensemble, metrics: dict) -> str:
    """Return the model card of the ensemble: its members, its results, its cost."""
    info, external = ensemble.info, metrics.get("external")
    measured = "Not measured: every case of the cohort trained some members. Give an external cohort to measure it."
    if external:
        measured = "\n".join(measures_table(external))
        measured += "\n\nMeasured on the external cohort, which no fold trained on. Intervals: 95 %, bootstrap."
    card = ModelCard(
        info["name"],
        info["clinical_use"],
        details="The students of the folds of one training. The result is the mean of their probabilities, and each "
        f"grade states how much they differ. It takes {len(ensemble.members)} times the time and memory of one. Each "
        "member is a model folder in `members`, with its own card.\n\n    reactkd grade --bundle FOLDER ...",
        intended_use=ensemble.task.intended_use,
        training_data="The cases of all folds; the cards of the members describe them.",
        evaluation=measured,
        limitations="Those of its members.",
    )
    return str(card)
