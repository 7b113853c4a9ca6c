"""An output folder receives all files or none, also if the work is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.errors import OutputNotWritable
from support.case_files import case_arguments
from support.waits import within

LIBRARY = Path(__file__).resolve().parents[3] / "REACTKD"


def test_new_folder_appears_at_once(tmp_path):
    target = tmp_path / "a" / "b"
    with all_or_nothing(target) as stage:
        (stage / "one").write_text("1")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["one"]
    assert (target.stat().st_mode & 0o777) == 0o777 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.fixture
def meanwhile(monkeypatch):
    """meanwhile(folder, act): call `act` once, as another run would, just before this run creates `folder`."""

    def before_making(folder, act):
        make, waiting = Path.mkdir, [act]

        def mkdir(self, *arguments, **options):
            if self == folder and waiting:
                waiting.pop()()
            make(self, *arguments, **options)

        monkeypatch.setattr(Path, "mkdir", mkdir)

    return before_making


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_parent_folder_created_meanwhile_by_another_run_is_used(tmp_path, meanwhile, depth):
    target = tmp_path / "a" / "b" / "c" / "case"
    theirs = target.parents[depth - 1]
    meanwhile(theirs, lambda: os.makedirs(theirs))
    with all_or_nothing(target) as stage:
        (stage / "report.json").write_text("{}")
    assert [path.name for path in target.iterdir()] == ["report.json"]


def test_a_parent_folder_created_by_another_run_is_not_removed(tmp_path, meanwhile):
    target = tmp_path / "a" / "b" / "case"
    meanwhile(tmp_path / "a", lambda: os.makedirs(tmp_path / "a"))
    with pytest.raises(ValueError), all_or_nothing(target):
        raise ValueError
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_a_parent_folder_removed_meanwhile_by_another_run_is_created_again(tmp_path, meanwhile):
    """The other run created it, failed, and removed it again."""
    target = tmp_path / "a" / "b" / "case"
    (tmp_path / "a").mkdir()
    meanwhile(tmp_path / "a" / "b", lambda: (tmp_path / "a").rmdir())
    with all_or_nothing(target) as stage:
        (stage / "report.json").write_text("{}")
    assert [path.name for path in target.iterdir()] == ["report.json"]


def test_a_file_created_meanwhile_under_the_output_name_is_refused(tmp_path, meanwhile):
    meanwhile(tmp_path / "a", lambda: (tmp_path / "a").write_text("mine"))
    with (
        pytest.raises(OutputNotWritable, match="output folder cannot be written"),
        all_or_nothing(tmp_path / "a" / "b"),
    ):
        pytest.fail("the work began")
    assert (tmp_path / "a").read_text() == "mine"


def test_runs_that_begin_together_share_a_new_parent(tmp_path):
    count = 8
    together = threading.Barrier(count)

    def run(trial, number):
        together.wait()
        with all_or_nothing(tmp_path / str(trial) / "deep" / "results" / f"case{number}") as stage:
            (stage / "report.json").write_text("{}")

    with ThreadPoolExecutor(count) as pool:
        for trial in range(25):
            list(pool.map(run, [trial] * count, range(count)))
    assert len(list(tmp_path.rglob("report.json"))) == 25 * count


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_on_error(tmp_path, error):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old").write_text("old")
    for target in (tmp_path / "kept", tmp_path / "new" / "deep"):
        with pytest.raises(error), all_or_nothing(target) as stage:
            (stage / "old").write_text("new")
            raise error
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["kept", str(Path("kept/old"))]
    assert (tmp_path / "kept" / "old").read_text() == "old"


def test_the_current_folder_as_output_stays_the_same_folder(tmp_path, monkeypatch):
    """`--output .`: a shell whose working directory is the folder sees the new results."""
    output = tmp_path / "results"
    for text in ("old", "new"):
        with all_or_nothing(output) as stage:
            (stage / "report.json").write_text(text)
        monkeypatch.chdir(output)
    assert Path("report.json").read_text() == "new"


def test_a_removed_working_folder_does_not_stop_a_run(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for text in ("old", "new"):
        with all_or_nothing(tmp_path / "results") as stage:
            (stage / "report.json").write_text(text)
    monkeypatch.undo()
    assert (tmp_path / "results" / "report.json").read_text() == "new"


def test_the_permissions_of_the_folder_are_kept(tmp_path):
    output = tmp_path / "results"
    output.mkdir()
    output.chmod(0o750)
    (output / "report.json").write_text("old")
    with all_or_nothing(output) as stage:
        (stage / "report.json").write_text("new")
    assert output.stat().st_mode & 0o777 == 0o750 and [p.name for p in tmp_path.iterdir()] == ["results"]


def test_a_move_that_fails_halfway_is_undone(tmp_path, monkeypatch):
    target = tmp_path / "results"
    target.mkdir()
    (target / "a").write_text("old a")
    (target / "mine").write_text("the user's")  # an extra file prevents exchanging the folder as a whole
    real = os.rename

    def fails_on_b(source, destination):
        if Path(destination) == target / "b":
            raise OSError(28, "No space left on device")
        real(source, destination)

    monkeypatch.setattr(os, "rename", fails_on_b)
    with pytest.raises(OutputNotWritable, match="no space left"), all_or_nothing(target) as stage:
        (stage / "a").write_text("new a")
        (stage / "b").write_text("new b")
    assert sorted(path.name for path in target.iterdir()) == ["a", "mine"]
    assert (target / "a").read_text() == "old a"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 2)])
def test_a_signal_ends_grade_with_its_status_and_leaves_no_output(number, status, case_folder, bundle_folder, tmp_path):
    """The signal arrives during grading: the right exit status, one sentence, no output folder."""
    script = (
        "import sys, time\n"
        "from REACTKDLib import __main__ as program\n"
        "import REACTKDLib.commands.grade as grade\n"
        "def wait(*_):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "grade.read_case = wait\n"
        "sys.exit(program.main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "grade", *case_arguments(case_folder), "--output", str(tmp_path / "x" / "y")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(LIBRARY)},
    )  # fmt: skip
    assert process.stdout.readline().strip() == "ready"
    with within(5):
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == status
    assert error.startswith("Stopped") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


class Screen:
    """A stream with a given answer to isatty()."""

    def __init__(self, terminal: bool):
        self.text, self._terminal = "", terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_only_on_a_terminal():
    pipe, terminal = Screen(False), Screen(True)
    for screen in (pipe, terminal):
        with Progress(screen) as progress:
            progress(1.0, "writing")
            progress.say("3 cases")
    assert pipe.text == ""
    assert "#" * 30 in terminal.text and "writing" in terminal.text and "3 cases\n" in terminal.text
    assert terminal.text.endswith("\r\x1b[K")  # the progress line is cleared
