"""A training folder, read while training writes it, produced by the real writers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.worker.training_log import LogReader
from REACTKDLib.core.worker.training_run import SILENT_S, RunReader, ask_to_stop
from REACTKDTrainLib.training.stop import StopFile
from support.training_folders import TrainingFolder


@pytest.fixture
def training(tmp_path: Path) -> TrainingFolder:
    return TrainingFolder(tmp_path / "run")


def test_a_run_that_has_logged_nothing_prepares(training: TrainingFolder) -> None:
    run = RunReader(training.folder).read()
    assert (run.state, run.curves, run.bundle) == ("preparing", (), None)
    assert run.cohort and run.cases == 16 and run.phantom and run.folds == 2 and run.method == "react-kd"


def test_stages_are_listed_in_the_order_of_the_work(training: TrainingFolder) -> None:
    reader = RunReader(training.folder)
    for fold, stage in (
        (0, "teacher-heads"),
        (0, "teacher"),
        (0, "student-heads"),
        (0, "student"),
        (1, "teacher-heads"),
    ):
        training.step(fold, stage, 3)
        current = reader.read().current
        assert (current.fold, current.stage) == (fold, stage)
    assert [curve.stage for curve in reader.read().curves][:4] == [
        "teacher-heads",
        "teacher",
        "student-heads",
        "student",
    ]


def test_the_fraction_of_a_stage_is_known_after_its_first_epoch(training: TrainingFolder) -> None:
    reader = RunReader(training.folder)
    training.step(0, "student", 2)  # 2 epochs of 3 steps
    assert reader.read().current.fraction == 0.0
    training.step(0, "student", 2, first=2)
    current = reader.read().current
    assert current.fraction == pytest.approx(4 / 6) and (current.epoch, current.epochs) == (1, 2)
    assert current.validation == ((3, pytest.approx(-1 / 3)),)
    training.step(0, "student", 2, first=4)
    assert reader.read().current.fraction == 1.0


def test_a_stage_configured_in_steps_has_no_epochs(tmp_path: Path) -> None:
    training = TrainingFolder(tmp_path / "run", student_stage={"epochs": 0, "steps": 8, "batch": 4, "rate": 0.01})
    training.step(0, "student", 2)
    current = RunReader(training.folder).read().current
    assert (current.fraction, current.epochs) == (0.25, 0)


def test_only_new_rows_are_read(training: TrainingFolder) -> None:
    training.step(0, "teacher", 3)
    path = training.folder / "fold0" / "teacher" / "log.csv"
    log = LogReader(path, 0, "teacher", {"epochs": 2})
    first = log.read()
    assert log.read() is first
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("1,3,0.5,0.00")  # a row that is still being written
    assert log.read() is first
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("1,0.1,,\n")
    assert log.read().loss == (*first.loss, 0.5)


def test_rewritten_rows_of_a_resumed_run_are_read_again(training: TrainingFolder) -> None:
    reader = RunReader(training.folder)
    training.step(0, "teacher", 6)
    assert len(reader.read().current.steps) == 6
    training.step(0, "teacher", 4, first=2)  # the rows from step 2 on are dropped and recomputed
    assert reader.read().current.steps == (1, 2, 3, 4, 5, 6)


def test_the_stop_request_is_the_file_that_the_training_checks(training: TrainingFolder) -> None:
    training.step(0, "teacher", 1)
    ask_to_stop(training.folder)
    assert StopFile(training.folder).requested()
    assert RunReader(training.folder).read().state == "stopping"


def test_a_run_that_stopped_on_request_is_shown_as_stopped(training: TrainingFolder) -> None:
    training.step(0, "teacher", 1)
    ask_to_stop(training.folder)
    stop = StopFile(training.folder)
    stop.mark_stopped()
    training.age(SILENT_S + 60)
    assert RunReader(training.folder).read().state == "stopped"
    stop.clear()  # a resumed run does this first
    training.step(0, "teacher", 2)
    assert RunReader(training.folder).read().state == "training"


def test_a_run_without_recent_output_is_shown_as_silent(training: TrainingFolder) -> None:
    training.step(0, "teacher", 1)
    reader = RunReader(training.folder)
    assert reader.read().state == "training"
    training.age(SILENT_S + 60)
    run = reader.read()
    assert run.state == "silent" and run.quiet_s > SILENT_S


def test_the_end_has_measures_and_a_model(training: TrainingFolder) -> None:
    training.step(1, "student", 6)
    training.finish()
    training.age(SILENT_S * 2)
    run = RunReader(training.folder).read()
    assert (run.state, run.macro_auc, run.accuracy) == ("done", 0.75, 0.5)
    assert run.bundle == training.folder / "bundle"


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format": "reactkd-run/0"}', '{"format": "reactkd-run/1"}'])
def test_another_folder_is_refused_in_one_sentence(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="choose"):
        RunReader(tmp_path).read()


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "epoch,step,loss,validation\nx,0,1,\n", "epoch,step,loss,validation\n1\n"]
)
def test_a_log_of_something_else_is_refused(training: TrainingFolder, text: str) -> None:
    path = training.folder / "fold0" / "teacher" / "log.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="REACTKDTrain"):
        RunReader(training.folder).read()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is read-only for this user")
def test_a_stop_request_that_cannot_be_written_is_reported(training: TrainingFolder) -> None:
    from REACTKDLib.core.errors import OutputNotWritable

    training.folder.chmod(0o500)
    try:
        with pytest.raises(OutputNotWritable, match="STOP"):
            ask_to_stop(training.folder)
    finally:
        training.folder.chmod(0o700)
