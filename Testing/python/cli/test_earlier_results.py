"""A failed run leaves no earlier report that could be mistaken for its own, and loses none."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.commands.batch import RESULTS
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.errors import Canceled
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.writing.earlier import set_aside
from support.case_files import NAMES, case_arguments

FILES = ["attention.nii.gz", "regions.csv", "regions.nii.gz", "report.json"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def graded(case_folder, bundle_folder, tmp_path) -> tuple[Path, list[str], dict[str, bytes]]:
    """A folder with results and a file of the user's, how to grade into it, and its contents."""
    shutil.copytree(case_folder, tmp_path / "case")
    arguments = [*case_arguments(tmp_path / "case", Modality.CT), "--bundle", str(bundle_folder)]
    arguments = ["grade", *arguments, "--output", str(tmp_path / "out")]
    assert main(arguments) == 0
    return tmp_path / "out", arguments, contents(tmp_path / "out")


def spoil(output: Path) -> Path:
    image = output.parent / "case" / NAMES[Modality.CT]
    image.write_text("no image")
    return image


def test_a_failed_grade_moves_the_earlier_results_aside(graded, case_folder, capsys):
    output, arguments, before = graded
    (output / "notes.txt").write_text("mine")
    image = spoil(output)
    assert main(arguments) == 2
    assert "moved into 'earlier' in the output folder" in (told := capsys.readouterr().err) and told.count("\n") == 1
    assert sorted(path.name for path in output.iterdir()) == ["earlier", "notes.txt"]
    assert contents(output / "earlier") == before and sorted(before) == FILES
    assert main(arguments) == 2 and "earlier" not in capsys.readouterr().err, "there is nothing left to move"
    shutil.copy(case_folder / NAMES[Modality.CT], image)
    assert main(arguments) == 0 and sorted(contents(output)) == sorted([*FILES, "notes.txt"])
    spoil(output)
    assert main(arguments) == 2
    assert sorted(path.name for path in output.iterdir()) == ["earlier", "earlier-2", "notes.txt"]


def test_an_unforeseen_fault_moves_them_too(graded, monkeypatch):
    import REACTKDLib.commands.grade as module

    output, arguments, _ = graded

    def fault(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "read_case", fault)
    assert main(arguments) == 2 and not (output / "report.json").exists()


@pytest.mark.parametrize(("stop", "status"), [(Canceled("Stopped."), 2), (KeyboardInterrupt(), 130)])
def test_a_stop_changes_nothing(graded, monkeypatch, stop, status):
    import REACTKDLib.commands.grade as module

    output, arguments, before = graded

    def stopped(*_: object) -> None:
        raise stop

    monkeypatch.setattr(module, "read_case", stopped)
    assert main(arguments) == status and contents(output) == before and len(list(output.iterdir())) == 4


def test_a_full_disk_leaves_the_earlier_results_and_says_that_they_are_of_an_earlier_run(graded, monkeypatch, capsys):
    import REACTKDLib.commands.grade as module

    output, arguments, before = graded

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_results", lambda result, case, folder: module_write(folder, full))
    assert main(arguments) == 2
    assert "of an earlier run" in capsys.readouterr().err
    assert contents(output) == before and len(list(output.iterdir())) == 4


def module_write(folder: Path, full) -> None:
    """Write the first result file on a disk without space."""
    from REACTKDLib.core.writing.atomic import written_beside

    with written_beside(folder / "report.json"):
        full()


def test_a_case_that_fails_in_a_second_batch_keeps_no_report(case_folder, bundle_folder, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(case_folder, tmp_path / "in" / name)
    arguments = ["batch", "--worklist", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    arguments += ["--bundle", str(bundle_folder)]
    assert main(arguments) == 0
    before = contents(tmp_path / "out" / "a")
    (tmp_path / "in" / "a" / NAMES[Modality.CT]).write_text("no image")
    assert main(arguments) == SOME_FAILED
    a, b = read_table(tmp_path / "out" / RESULTS, "the table", ("case",)).rows
    assert (a["status"], a["grade"], a["error"], b["status"]) == ("failed", "", "not-an-image", "graded")
    assert "'earlier'" in a["reason"]
    assert [path.name for path in (tmp_path / "out" / "a").iterdir()] == ["earlier"]
    assert contents(tmp_path / "out" / "a" / "earlier") == before
    assert sorted(contents(tmp_path / "out" / "b")) == FILES


@pytest.mark.slow
def test_a_case_that_ends_the_process_keeps_no_report(case_folder, bundle_folder, tmp_path, run_command):
    """The next process moves the old report."""
    for name in ("a", "b"):
        shutil.copytree(case_folder, tmp_path / "in" / name)
    arguments = ["batch", "--worklist", tmp_path / "in", "--output", tmp_path / "out", "--bundle", bundle_folder]
    assert main(list(map(str, arguments))) == 0
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(
        "import os\n"
        "import REACTKDLib.core.cases.open_job as module\n"
        "real = module.open_job\n"
        "module.open_job = lambda job, *a, **k: os.abort() if job.case == 'a' else real(job, *a, **k)\n"
    )
    root = Path(__file__).resolve().parents[3] / "REACTKD"
    arguments.append("--keep-specks")  # with another option, the earlier rows are not reused
    done = run_command(*arguments, PYTHONPATH=f"{tmp_path / 'hooks'}:{root}")
    assert done.returncode == SOME_FAILED, done.stderr
    a, b = read_table(tmp_path / "out" / RESULTS, "the table", ("case",)).rows
    assert (a["error"], b["status"]) == ("case-crashed", "graded")
    assert [path.name for path in (tmp_path / "out" / "a").iterdir() if path.name[0] != "."] == ["earlier"]
    assert (tmp_path / "out" / "a" / "earlier" / "report.json").is_file()


def test_two_runs_of_a_case_with_an_odd_name_leave_one_row(case_folder, bundle_folder, tmp_path):
    import json

    entries = [{"id": name, "ct": "none.nii", "segmentation": "none.nii"} for name in ("a\ud800b", "=1", "nul\0")]
    entries.append(
        {"id": "ok", "ct": f"{case_folder}/CT.nii.gz", "segmentation": f"{case_folder}/segmentation.seg.nrrd"}
    )
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    arguments = ["--worklist", str(tmp_path / "list.json"), "--output", str(tmp_path / "out")]
    for _ in range(2):
        assert main(["batch", *arguments, "--bundle", str(bundle_folder)]) == SOME_FAILED
    rows = read_table(tmp_path / "out" / RESULTS, "the table", ("case",)).rows
    assert [row["case"] for row in rows] == ["a\\ud800b", "=1", "nul\\x00", "ok"]


def test_moving_aside_never_raises(tmp_path):
    assert set_aside(tmp_path / "nowhere", ["x"]) is None
    (tmp_path / "x").write_text("1")
    (tmp_path / "earlier").write_text("a file of that name")
    assert set_aside(tmp_path, ["x", "y"]).name == "earlier-2"
