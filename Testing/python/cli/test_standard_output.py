"""Standard output that is full, closed, or a pipe whose reader has left: a status and at most one sentence."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.core.reports.report import GradeReport
from support.case_files import case_arguments

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARIES = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
FULL = "Standard output cannot be written (No space left on device); files that the command has finished are complete."
pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")


def in_shell(command, redirection):
    """The status and the text on standard error of `python -m` with a command, and with a redirection of the shell."""
    words = " ".join(shlex.quote(str(word)) for word in command)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.quote(sys.executable)} -m {words} {redirection}"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": LIBRARIES}, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("redirection", "ended", "json"),
    [
        ("> /dev/full", (2, FULL), ["--json"]),
        (">&-", (0, ""), []),
        ("| true", (0, ""), ["--json"]),
        ("> /dev/null 2>&-", (0, ""), []),
    ],
)
def test_a_grade_is_written_whatever_becomes_of_what_is_printed(
    case_folder, bundle_folder, tmp_path, redirection, ended, json
):
    command = ["REACTKDLib", "grade", *case_arguments(case_folder), "--bundle", bundle_folder]
    assert in_shell([*command, "--output", tmp_path / "out", *json], redirection) == ended
    assert GradeReport.read_json(tmp_path / "out" / "report.json").regions


def full():
    return open("/dev/full", "w")  # noqa: SIM115 - closed by the test


def left_by_its_reader():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["summary", "json"])
@pytest.mark.parametrize(
    ("stream", "opened", "ended"),
    [
        ("stdout", full, (2, FULL)),
        ("stdout", lambda: None, (0, "")),
        ("stdout", left_by_its_reader, (0, "")),
        ("stderr", lambda: None, (0, "")),
    ],
    ids=["full", "closed", "left", "no errors"],
)
def test_a_grade_is_written_whatever_stream_python_has_to_print_to(
    case_folder, bundle_folder, tmp_path, capsys, own_process, monkeypatch, stream, opened, ended, json
):
    """Both outputs in this process, with the streams that Python opens for the redirections above."""
    given = opened()
    monkeypatch.setattr(sys, stream, given)
    command = ["grade", *case_arguments(case_folder), "--bundle", bundle_folder, "--output", tmp_path / "out", *json]
    assert (main(list(map(str, command))), capsys.readouterr().err.strip()) == ended
    assert GradeReport.read_json(tmp_path / "out" / "report.json").regions
    with suppress(OSError):  # what is left in its buffer
        given and given.close()


@pytest.mark.parametrize(("redirection", "ended"), [("> /dev/full", (2, FULL)), (">&-", (0, ""))])
def test_what_only_prints_says_that_it_cannot(case_folder, tmp_path, redirection, ended):
    assert in_shell(["REACTKDLib", "check", *case_arguments(case_folder)], redirection) == ended
    shutil.copytree(case_folder, tmp_path / "cases" / "a")
    assert in_shell(["REACTKDTrainLib", "cohorts", "check", tmp_path / "cases"], redirection) == ended


def test_an_error_of_a_command_is_not_taken_for_one_of_the_output(case_folder, tmp_path):
    given = ["--ct", case_folder / "none.nii.gz", "--segmentation", case_folder / "none.nii.gz"]
    status, text = in_shell(["REACTKDLib", "grade", *given, "--output", tmp_path / "out"], "> /dev/full")
    assert status == 2 and text == "There is no file at the path given for the CT; check the path."
