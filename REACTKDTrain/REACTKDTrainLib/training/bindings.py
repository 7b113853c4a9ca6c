"""Hashes that bind the checkpoints of a fold to its configuration and cases, and loading of a fully trained teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.folds import Split
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.training.checkpoint import load_checkpoint
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.record import recorded_settings
from REACTKDTrainLib.training.run_checks import check_teachers


def teacher_binding(config: TrainingConfig, number: int, split: Split, unlabeled: Sequence[CohortCase]) -> str:
    """Return the hash for the stages of the teachers of fold `number`. unlabeled: cases without a grade."""
    bound = config.bound()
    wanted = {k: bound[k] for k in ("seed", "amp", "data", "teacher", "teacher_heads", "teacher_stage", "loss")}
    return content_key({**wanted, "fold": number, **_case_keys(split, unlabeled)})


def student_binding(
    config: TrainingConfig, number: int, split: Split, unlabeled: Sequence[CohortCase], taught: bool
) -> str:
    """Return the hash for the stages of the student. taught: with teachers, whose hash is kept separately in the
    checkpoint, see `Trainer.teacher`.

    An initial model is identified by its weights, independent of its folder.
    """
    bound = config.bound()
    bound["student_stage"]["initial"] = recorded_settings(config)["student_stage"]["initial"]
    return content_key({**bound, "fold": number, "taught": taught, **_case_keys(split, unlabeled)})


def former_student_binding(
    config: TrainingConfig, number: int, split: Split, unlabeled: Sequence[CohortCase], taught: bool
) -> str:
    """Return `student_binding` as in earlier releases, which identified an initial model by its folder."""
    return content_key({**config.bound(), "fold": number, "taught": taught, **_case_keys(split, unlabeled)})


def trained_teacher(
    folder: Path, config: TrainingConfig, number: int, split: Split, unlabeled: Sequence[CohortCase]
) -> dict[str, Tensor]:
    """Return the weights of the teacher of fold `number` in the folder of a run.

    Raises: UsageError if it is missing, was stopped before its end, or belongs to another configuration.
    """
    check_teachers(folder, [number])
    path = Path(folder) / f"fold{number}" / "teacher" / "last.pt"
    tensors, progress = load_checkpoint(path, teacher_binding(config, number, split, unlabeled))
    if not config.teacher_stage.ended(int(progress["step"]), int(progress.get("waited", 0)), len(split.train)):
        raise UsageError(
            f"The teacher of fold {number} in the output folder was stopped before the end of its training; resume it "
            "with the stage 'teacher' or 'both' first."
        )
    return tensors["best"] or tensors["module"]


def _case_keys(split: Split, unlabeled: Sequence[CohortCase]) -> dict:
    return {
        "train": [(case.id, case.fingerprint, case.grade) for case in split.train],
        "inner": [(case.id, case.fingerprint, case.grade) for case in split.validation],
        "unlabeled": [(case.id, case.fingerprint) for case in unlabeled],
    }
