"""What a run will do, told before it begins: that is what progress is a fraction of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.progress import no_progress
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.experiment import Experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.processes import Processes
from support.small_training import COHORT

TEACHER, STUDENT = {"teacher-heads", "teacher"}, {"student-heads", "student"}


@pytest.mark.parametrize(
    ("stage", "method", "expected"),
    [
        ("both", "react-kd", TEACHER | STUDENT | {"answers"}),
        ("both", "none", STUDENT),
        ("teacher", "react-kd", TEACHER),
        ("teacher", "none", TEACHER),
        ("student", "kd", STUDENT | {"answers"}),
        ("student", "none", STUDENT),
    ],
)
def test_a_run_knows_its_parts(stage: str, method: str, expected: set[str], tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path, stage=stage, method=method, folds=2, fold=1)
    config = options.training_config("tiny")
    experiment = Experiment(options, config, torch.device("cpu"), Processes(), no_progress)
    parts = experiment.costs({"cohort": open_cohort(COHORT)})
    assert set(parts) == {"prepare", "predict1"} | {f"{name}1" for name in expected | {"views"}}
    assert all(cost > 0 for cost in parts.values())


def test_batches_that_processes_cannot_share_are_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", method="none", folds=2, student_batch=9)
    config = options.training_config("tiny")
    for world, said in ((2, "student_stage.batch is 9, which 2 processes"), (3, "student_heads.batch is 64, which 3")):
        experiment = Experiment(options, config, torch.device("cpu"), Processes(1, world), no_progress)
        with pytest.raises(UsageError, match=said):
            experiment.run()
    assert not (tmp_path / "o").exists()


def test_unlabeled_ct_without_doses_is_refused_before_anything_is_prepared(tmp_path: Path) -> None:
    options = RunOptions(COHORT, tmp_path / "o", unlabeled="phantom:unlabeled?cases=2&size=tiny")
    config = TrainingConfig.from_dict({"data": {"doses": False}}, options.training_config("tiny"))
    experiment = Experiment(options, config, torch.device("cpu"), Processes(), no_progress)
    with pytest.raises(UsageError, match="the setting data.doses is false; set it to true, or leave out"):
        experiment.run()
    assert not (tmp_path / "o").exists()
