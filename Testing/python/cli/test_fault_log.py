"""An error in grade, batch, check, training and the other commands leaves its traceback in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.__main__ import main
from REACTKDTrainLib.__main__ import main as training_command
from support.case_files import case_arguments
from support.small_training import COHORT

CANARY = "Doe^Canary"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("REACTKD_LOG_DIR", str(tmp_path / "logs"))
    return tmp_path / "logs"


def fails(*arguments: object, **named: object) -> None:
    patient = CANARY
    raise ZeroDivisionError(f"{patient} in '/data/{patient}'")


def logged(folder: Path, name: str = "reactkd.log") -> str:
    text = (folder / name).read_text(encoding="utf-8")
    assert "ZeroDivisionError: ... in '...'" in text and "in fails" in text and CANARY not in text
    return text


@pytest.mark.parametrize("command", ["grade", "check"])
def test_a_fault_of_a_command_is_logged(
    command, case_folder, bundle_folder, folder, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("REACTKDLib.core.cases.open_case.open_case", fails)
    more = ["--bundle", bundle_folder, "--output", tmp_path / "out"] if command == "grade" else []
    assert main([command, *map(str, (*case_arguments(case_folder), *more))]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.endswith(f"its details are in {folder / 'reactkd.log'}.\n")
    assert f"commands/{command}.py" in logged(folder) and CANARY not in told


def test_a_fault_of_one_case_of_a_batch_is_logged(case_folder, bundle_folder, folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("REACTKDLib.core.cases.open_job.open_job", fails)
    work = tmp_path / "work.csv"
    work.write_text(f"case,ct,segmentation\na,{case_folder}/CT.nii.gz,{case_folder}/segmentation.seg.nrrd\n")
    out = tmp_path / "out"
    assert main(["batch", "--worklist", str(work), "--bundle", str(bundle_folder), "--output", str(out)]) == 2
    assert "commands/batch_case.py" in logged(folder)
    assert "reactkd.log" in (out / "results.csv").read_text(encoding="utf-8")


def test_a_fault_of_a_training_is_logged(folder, train, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("REACTKDTrainLib.commands.train.train", fails)
    status, _, told = train("--cohort", COHORT, "--output", tmp_path / "out")
    assert status == 1 and told.endswith(f"its details are in {folder / 'training.log'}.\n")
    assert "commands/train.py" in logged(folder, "training.log")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("cohorts", ["check", "."]), ("low_dose", ["--ct", "ct.nii", "--output", "low.nii"]), ("study", []),
     ("compare", ["runs", "a", "b"]), ("release", ["page", "model"])],
)  # fmt: skip
def test_a_fault_of_the_other_training_commands_is_logged(command, arguments, folder, monkeypatch, capsys) -> None:
    monkeypatch.setattr(f"REACTKDTrainLib.commands.{command}.run", fails)
    assert training_command([command.replace("_", "-"), *arguments]) == (1 if command == "study" else 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "training.log" in error
    logged(folder, "training.log")


def test_debugging_raises_it_and_logs_it(case_folder, folder, monkeypatch) -> None:
    monkeypatch.setenv("REACTKD_DEBUG", "1")
    monkeypatch.setattr("REACTKDLib.core.cases.open_case.open_case", fails)
    with pytest.raises(ZeroDivisionError):
        main(["check", *map(str, case_arguments(case_folder))])
    logged(folder)
