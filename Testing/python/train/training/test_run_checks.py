"""What a run refuses or reports before it reads a case: the initial model of its student."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from REACTKDLib.core.errors import BundleIncomplete, ReactkdError, UsageError
from REACTKDLib.core.student.bundle import Bundle
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.dry_run import dry_run
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.run_checks import check_steps, check_student
from support.small_models import metadata_for, random_student
from support.small_training import write_config

REPOSITORY = Path(__file__).resolve().parents[4]
SHIPPED = str(REPOSITORY / "REACTKD" / "Resources" / "Models" / "reactkd-phantom")


def config(**changes) -> TrainingConfig:
    return TrainingConfig.from_dict(changes, TrainingConfig.for_size("full"))


def test_the_settings_of_the_page_load_all_weights_of_the_shipped_student(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    text = (REPOSITORY / "docs" / "how-to" / "retrain_the_model.md").read_text(encoding="utf-8")
    settings = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    count = int(re.search(r"all (\d+) here", text)[1])
    assert check_student(config(**settings)) == f"the student begins with all {count} weights of the initial model"
    (frozen,) = re.findall(r'`"frozen": (\[.*?\])`', text)
    settings["student_stage"]["frozen"] = json.loads(frozen)
    check_student(config(**settings))


def test_weights_that_do_not_fit_are_named():
    words = check_student(config(student_stage={"initial": SHIPPED}))
    assert re.search(r"begins with \d+ of \d+ weights of the initial model; 'fixed_\w+.*' do not fit", words)
    assert check_student(config()) == ""


def test_for_a_distilled_student_the_origin_of_its_cbam_is_printed(tmp_path):
    student = random_student(2, cbam=True)
    Bundle.save(tmp_path, student, metadata_for(student))
    own = {"widths": [4, 4, 4], "filters": 4, "hidden": 12, "cbam": True}
    settings = config(
        student=own, teacher={"width": 4, "heads": [1, 1, 1, 1]}, student_stage={"initial": str(tmp_path)}
    )
    count = len(student.state_dict())
    cbam = len(student.cbam.state_dict())
    assert check_student(settings) == f"the student begins with all {count} weights of the initial model"
    assert check_student(settings, taught=True) == (
        f"the student begins with {count - cbam} of {count} weights of the initial model; its CBAM3D is the teachers'"
    )


@pytest.mark.parametrize("setting", [{"initial": "model"}, {"frozen": ["encoders."]}])
@pytest.mark.parametrize("stage", ["teacher_heads", "teacher_stage", "student_heads"])
def test_a_setting_of_one_stage_is_refused_in_the_others(stage, setting):
    (name,) = setting
    with pytest.raises(UsageError, match=f"{stage}.{name} is read by no .*student_stage.{name}"):
        config(**{stage: setting})
    assert getattr(config(student_stage=setting).student_stage, name)


def test_a_prefix_of_no_parameter_is_refused():
    check_student(config(student_stage={"frozen": ["encoders.", "fixed_in."]}))
    with pytest.raises(UsageError, match=r"begins with 'fixed_inn\.'.*they begin with .*encoders\., .*fixed_in\."):
        check_student(config(student_stage={"frozen": ["fixed_inn."]}))


@pytest.mark.parametrize("network", ["teacher", "student"])
def test_a_network_that_no_stage_trains_is_refused(network):
    """Its random weights were evaluated, saved as a model and reported as a result."""
    idle = {"epochs": 0, "steps": 0}
    both = config(**{f"{network}_stage": idle, f"{network}_heads": idle})
    with pytest.raises(UsageError, match=f"The {network} would keep its random weights: {network}_stage and .*_heads"):
        check_steps(both, {"teacher", "student"})
    check_steps(both, {"teacher", "student"} - {network})
    check_steps(config(**{f"{network}_stage": idle}), {network})
    check_steps(config(**{f"{network}_heads": idle}), {network})
    check_steps(config(**{f"{network}_stage": {"epochs": 0, "steps": 1}, f"{network}_heads": idle}), {network})
    alone = {"blocks": []} if network == "teacher" else {"blocks": ["encoder"]}
    with pytest.raises(UsageError, match=f"The {network} would keep its random weights: {network}_stage have"):
        check_steps(config(**{network: alone, f"{network}_stage": idle}), {network})
    check_steps(config(student_stage={**idle, "initial": SHIPPED}), {"student"})


@pytest.mark.parametrize("stage", ["both", "student"])
def test_a_dry_run_checks_the_initial_model_before_any_case(tmp_path, stage):
    path = write_config(tmp_path, folds=1)
    settings = json.loads(path.read_text()) | {"student_stage": {"initial": str(tmp_path / "nowhere")}}
    path.write_text(json.dumps(settings))
    asked = {"cohort": str(tmp_path / "no-cohort"), "output": tmp_path / "out", "config": path, "device": "cpu"}
    with pytest.raises(BundleIncomplete, match="nowhere"):
        dry_run(RunOptions(**asked, stage=stage, method="none"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_a_run_is_refused_before_the_cohort_is_opened(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    options = RunOptions(str(tmp_path / "no-cohort"), tmp_path, config=write_config(tmp_path, folds=1), device="cpu")
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        run_experiment(options)
    with pytest.raises(ReactkdError, match="no-cohort|at the path"):
        run_experiment(replace(options, resume=True))


@pytest.mark.parametrize("seed", [-2, -5])
def test_a_negative_seed_is_refused(seed):
    with pytest.raises(UsageError, match="seed"):
        RunOptions(seed=seed)
