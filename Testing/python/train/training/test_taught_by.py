"""Which teachers teach a student: only fully trained ones, and the same ones from start to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.training.checkpoint import load_checkpoint, save_checkpoint
from REACTKDTrainLib.training.config import StageConfig
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.stop import Stopped
from support.line_stage import trainer, weights
from support.small_training import write_config

TINY = "phantom:hospital?cases=12&size=tiny"
#: one epoch of each: these tests only need a student that is taught
BRIEF = {"student_heads": {"epochs": 1}, "student_stage": {"epochs": 1, "batch": 4, "rate": 0.003}}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared cases, shared by the runs of this file."""
    return tmp_path_factory.mktemp("cache")


def stage(**changes) -> StageConfig:
    return StageConfig(**{"epochs": 3, "batch": 4, "lr": 0.1} | changes)


@pytest.mark.parametrize(
    ("config", "step", "waited", "ended"),
    [
        (stage(), 5, 0, False),
        (stage(), 6, 0, True),  # 10 cases in batches of 4: 2 steps per epoch
        (stage(steps=9), 6, 0, False),
        (stage(steps=9), 9, 0, True),
        (stage(patience=2), 4, 1, False),
        (stage(patience=2), 4, 2, True),
    ],
)
def test_a_stage_ends_with_its_steps_or_its_patience(config: StageConfig, step: int, waited: int, ended: bool) -> None:
    assert config.ended(step, waited, cases=10) is ended


def test_unfinished_teachers_do_not_teach_a_student(cache: Path, tmp_path: Path) -> None:
    """One run, stopped in both stages of its teachers."""
    output, config = tmp_path / "out", write_config(tmp_path, folds=1, **BRIEF)
    asked = {"cohort": TINY, "output": output, "config": config, "device": "cpu", "method": "kd", "cache": cache}
    seen = []

    def stop_in(part: str) -> Callable[[float, str], None]:
        def stop_early(fraction: float, text: str) -> None:
            seen.append(text)
            if f"{part}, loss" in text:
                (output / "STOP").touch()

        return stop_early

    for part in ("teacher heads", "teacher"):
        with pytest.raises(Stopped):
            run_experiment(RunOptions(**asked, resume=part == "teacher"), stop_in(part))
        with pytest.raises(UsageError, match="fold 0.*the stage 'teacher' or 'both'"):
            run_experiment(RunOptions(**asked, stage="student", resume=True), lambda fraction, text: seen.append(text))
        assert any(f"{part}, loss" in text for text in seen)
        assert not any("student" in text for text in seen)
    run_experiment(RunOptions(**asked, stage="teacher", resume=True))
    run_experiment(RunOptions(**asked, stage="student", resume=True))


def test_a_student_of_other_teachers_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path, teacher="a").run()
    with pytest.raises(UsageError, match="taught by other teachers.*remove"):
        trainer(tmp_path, teacher="b").run()
    trainer(tmp_path, teacher="a").run()


def test_a_student_of_a_release_without_teacher_hashes_is_resumed(tmp_path: Path) -> None:
    whole = trainer(tmp_path, teacher="a")
    whole.run()
    tensors, state = load_checkpoint(tmp_path / "last.pt", "b")
    del state["teacher"]
    save_checkpoint(tmp_path / "last.pt", tensors, state, "b")
    again = trainer(tmp_path, teacher="b")
    again.run()
    assert all(torch.equal(v, weights(whole)[k]) for k, v in weights(again).items())
