"""User options are checked and converted into the settings of a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.options import RunOptions, options_from


def options(**changes) -> RunOptions:
    return RunOptions(**{"cohort": "phantom:hospital", "output": Path("out"), **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cohort": " "}, "No cohort was given"),
        ({"output": Path()}, "No output folder"),
        ({"stage": "all"}, "The setting stage must be 'both', 'teacher' or 'student', not 'all'."),
        ({"method": "KD"}, "There is no method 'KD'; choose one of"),
        ({"folds": -3}, "The setting folds must be at least 0, not -3."),
        ({"student_batch": -1}, "student_batch must be at least 0, not -1."),
        ({"fold": -2}, "fold must be at least -1, not -2."),
        ({"jobs": 0}, "jobs must be at least 1, not 0."),
        ({"output": Path(__file__)}, "The output is a file"),
    ],
)
def test_invalid_options_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(**changes)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("size", ["tiny", "small", "full"])
def test_without_options_the_settings_are_those_of_the_size(size: str) -> None:
    assert options().training_config(size) == TrainingConfig.for_size(size)


def test_a_file_overrides_the_size_and_options_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"folds": 5, "seed": 3, "method": "kd", "student_stage": {"epochs": 9, "batch": 3}}))
    config = options(config=path, folds=2, student_epochs=4, teacher_batch=6).training_config("tiny")
    usual = TrainingConfig.for_size("tiny")
    assert (config.folds, config.seed, config.method) == (2, 3, "kd")
    assert (config.student_stage.epochs, config.student_stage.batch) == (4, 3)
    assert (config.teacher_stage.epochs, config.teacher_stage.batch) == (usual.teacher_stage.epochs, 6)
    assert config.student_stage.lr == usual.student_stage.lr
    assert options(config=path, seed=0, method="none").training_config("tiny").seed == 0


@pytest.mark.parametrize(
    ("text", "key"),
    [('{"seed": 1, "seed": 2}', "seed"), ('{"loss": {"gamma": 1, "branches": 1, "gamma": 1}}', "gamma")],
)
def test_a_duplicated_setting_is_refused(text: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"^The configuration config.json has '{key}' twice; leave one.$"):
        options(config=path).training_config("tiny")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"seed": 4}', encoding="utf-8-sig")  # as Windows Notepad writes it
    assert options(config=path).training_config("tiny").seed == 4


def test_graphs_that_annotators_change_cannot_be_matched() -> None:
    matched = {"distillation": {"gw_mode": "matched"}}
    with pytest.raises(UsageError, match="set data.mask_variants to 0, or choose semirelaxed"):
        TrainingConfig.from_dict(matched)
    TrainingConfig.from_dict(matched | {"data": {"mask_variants": 0}})
    TrainingConfig.from_dict(matched | {"method": "kd"})  # which compares no graphs


def test_names_of_the_module_become_those_of_the_options() -> None:
    told = {"cohort": "c", "output": "o", "teacherEpochs": 3, "skipUnreadable": True, "cache": None, "config": "",
            "returnparameterfile": "x", "xml": False}  # fmt: skip
    assert options_from(told) == RunOptions("c", Path("o"), teacher_epochs=3, skip_unreadable=True)


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_epochs_that_are_given_take_the_place_of_steps_in_the_configuration(stage: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({f"{stage}_stage": {"steps": 700}}))
    kept = getattr(options(config=path).training_config("tiny"), f"{stage}_stage")
    given = getattr(options(config=path, **{f"{stage}_epochs": 3}).training_config("tiny"), f"{stage}_stage")
    assert kept.steps == 700 and (given.steps, given.epochs) == (0, 3)
