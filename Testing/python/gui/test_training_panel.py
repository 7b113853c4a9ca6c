"""Section Training: a run is watched in progress and stopped, and its model is selected, by the user."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.panel_steps import choose_model
from support.small_training import COHORT, TRAIN_SCRIPT, write_config
from support.training_folders import TrainingFolder


@pytest.fixture
def training(tmp_path: Path) -> TrainingFolder:
    return TrainingFolder(tmp_path / "run")


@pytest.fixture
def section(user: Any, widget: Any) -> Iterator[Any]:
    """The panel with the section Training open. It polls ten times a second instead of every two seconds."""
    user.toggle_section("trainingSection")
    section = next(part for part in widget.panel.sections if part.ui_file == "TrainingPanel.ui")
    section._timer.setInterval(100)
    yield section


def test_without_a_folder_no_stop_button_or_model_is_shown(section: Any, user: Any) -> None:
    assert not any(user.sees(name) for name in ("trainingStopButton", "trainingBundleButton", "trainingCurveLabel"))
    user.screenshot("training-empty")


def test_a_run_is_watched_and_can_be_stopped_once(section: Any, user: Any, training: TrainingFolder) -> None:
    user.type("trainingPathEdit", str(training.folder))
    assert "16 digital phantoms" in user.text("trainingStateLabel")
    assert "Preparing" in user.text("trainingStateLabel")
    training.step(0, "teacher", 4)
    user.wait_until(lambda: "Fold 0 of 0 to 1: teachers, epoch 2 of 2, step 4" in user.text("trainingStateLabel"))
    assert user.find("trainingProgressBar").value == round(100 * 4 / 6)
    assert not user.find("trainingCurveLabel").pixmap.isNull()
    user.screenshot("training-running")
    training.step(1, "student", 120, per_epoch=60)
    user.wait_until(lambda: "Fold 1 of 0 to 1: student, epoch 2" in user.text("trainingStateLabel"))
    user.screenshot("training-later")

    user.click("trainingStopButton")
    assert (training.folder / "STOP").is_file()
    assert "Stopping" in user.text("trainingStateLabel")
    assert not user.find("trainingStopButton").enabled


def test_the_curve_of_an_earlier_stage_stays_chosen(section: Any, user: Any, training: TrainingFolder) -> None:
    training.step(0, "teacher", 4)
    user.type("trainingPathEdit", str(training.folder))
    user.choose("trainingCurveComboBox", "Fold 0 of 0 to 1: teachers")
    before = user.find("trainingCurveLabel").pixmap.toImage()
    training.step(0, "student", 5)
    user.wait_until(lambda: user.find("trainingCurveComboBox").count == 3)
    assert user.text("trainingCurveComboBox") == "Fold 0 of 0 to 1: teachers"
    assert user.find("trainingCurveLabel").pixmap.toImage() == before
    user.choose("trainingCurveComboBox", "Latest stage")
    assert user.find("trainingCurveLabel").pixmap.toImage() != before


def test_the_model_of_a_finished_run_can_be_selected(
    section: Any, user: Any, widget: Any, training: TrainingFolder, small_model: Path
) -> None:
    training.step(1, "student", 6)
    user.type("trainingPathEdit", str(training.folder))
    assert not user.find("trainingBundleButton").enabled
    training.finish()
    user.wait_until(lambda: user.find("trainingBundleButton").enabled)
    assert "macro AUC 0.75" in user.text("trainingStateLabel")
    user.click("trainingBundleButton")
    section.look()  # as the timer does
    assert user.text("trainingMessageLabel") == "The module grades with this model now."
    assert user.find("modelPathEdit").currentPath == str(training.folder / "bundle")
    user.screenshot("training-done")
    choose_model(user, small_model)
    assert not user.sees("trainingMessageLabel")
    choose_model(user, training.folder / "bundle")
    assert user.text("trainingMessageLabel") == "The module grades with this model now."
    user.type("modelPathEdit", "")
    assert not user.sees("trainingMessageLabel")


def test_a_silent_run_is_not_shown_as_running_and_another_folder_is_refused(
    section: Any, user: Any, training: TrainingFolder, tmp_path: Path
) -> None:
    training.step(0, "teacher", 2)
    training.age(20 * 60)
    user.type("trainingPathEdit", str(training.folder))
    assert "Nothing was written for 20 minutes" in user.text("trainingStateLabel")
    assert not user.find("trainingStopButton").enabled

    user.type("trainingPathEdit", str(tmp_path / "nothing"))
    assert "no training run" in user.text("trainingMessageLabel")
    assert not user.sees("trainingStateLabel")
    user.type("trainingPathEdit", "")
    assert not user.sees("trainingMessageLabel")


def test_the_folder_is_not_polled_while_the_section_is_closed(
    section: Any, user: Any, application: Any, training: TrainingFolder
) -> None:
    user.type("trainingPathEdit", str(training.folder))
    assert section._timer.isActive()
    user.toggle_section("trainingSection")
    assert not section._timer.isActive()
    user.toggle_section("trainingSection")
    application.select_module("SegmentEditor")
    assert not section._timer.isActive()
    application.select_module("REACTKD")
    assert section._timer.isActive()


@pytest.mark.slow
def test_a_real_run_is_watched_and_its_model_grades(
    section: Any, user: Any, widget: Any, phantom_nodes: Any, tmp_path: Path
) -> None:
    config = write_config(tmp_path, folds=1)
    command = [sys.executable, TRAIN_SCRIPT, "--cohort", COHORT, "--config", config, "--output", tmp_path / "run"]
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        user.wait_until((tmp_path / "run" / "run.json").exists, 120, "the run's record")
        user.type("trainingPathEdit", str(tmp_path / "run"))
        user.wait_until(lambda: user.find("trainingBundleButton").enabled, 300, "the run's model")
        assert run.wait(60) == 0, run.stderr.read()
    finally:
        run.kill()
    user.click("trainingBundleButton")
    user.click("gradeButton")
    user.wait_until(lambda: user.sees("gradeLabel"), 120, "a grade by the new model")
    assert "reactkd-phantom-run" in user.text("detailsLabel")
    shutil.rmtree(tmp_path / "run" / "cache")


def test_a_run_with_its_curve_fits_into_300_pixels(
    section: Any, user: Any, training: TrainingFolder, application: Any
) -> None:
    application.window.set_panel_width(300)
    training.step(0, "teacher", 4)
    user.type("trainingPathEdit", str(training.folder))
    user.wait_until(lambda: not user.find("trainingCurveLabel").pixmap.isNull(), what="the curve")
    user.screenshot("training-300")
    assert application.modules["REACTKD"].widgetRepresentation().minimumSizeHint().width() <= 300
    curve = user.find("trainingCurveLabel")
    assert curve.pixmap.deviceIndependentSize().width() <= curve.width + 1  # whole, not clipped


def test_a_run_that_stopped_on_request_is_shown_as_stopped(section: Any, user: Any, training: TrainingFolder) -> None:
    training.step(0, "teacher", 4)
    (training.folder / "STOPPED").touch()
    training.age(10_000)
    user.type("trainingPathEdit", str(training.folder))
    user.wait_until(lambda: "Stopped; what is done is kept." in user.text("trainingStateLabel"), what="the state")
    assert "may have ended" not in user.text("trainingStateLabel")
