"""Every shell command and Python line of the README runs, in order, as a new user would enter them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
#: installing has its own test
INSTALLING = ("python3 -m venv ", "pip install ")
#: what the installation provides
PROGRAMS = {"reactkd": "REACTKDLib", "reactkd-train": "REACTKDTrainLib"}
#: trains three folds, which takes minutes
LONG = "reactkd-train train"


def blocks(language: str) -> list[str]:
    """The fenced code blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line]


def run(arguments: list[str], folder: Path) -> str:
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def run_command(line: str, folder: Path) -> str:
    program, *rest = shlex.split(line)
    return run(["-m", PROGRAMS[program], *rest], folder)


def test_every_command_except_installing_is_one_of_this_project() -> None:
    assert {line.split()[0] for line in COMMANDS if not line.startswith(INSTALLING)} == set(PROGRAMS)
    assert [line.startswith(INSTALLING) for line in COMMANDS].index(False) == len(INSTALLING), (
        "the installation must come first"
    )
    assert [line for line in COMMANDS if line.startswith(LONG)], "the long command must be on the page"


@pytest.mark.slow
def test_the_commands_and_the_python_code_run_in_their_order(tmp_path: Path) -> None:
    printed = {
        line.split()[1]: run_command(line, tmp_path)
        for line in COMMANDS
        if line.split()[0] in PROGRAMS and not line.startswith(LONG)
    }
    assert "poor" in printed["grade"]
    assert (tmp_path / "result" / "report.json").is_file() and (tmp_path / "quarter.nii.gz").is_file()
    (python,) = blocks("python")
    answer = run(["-c", python], tmp_path)
    assert answer.startswith("poor ") and "Lesion 1" in answer


@pytest.mark.slow
def test_the_training_runs(tmp_path: Path) -> None:
    (line,) = (line for line in COMMANDS if line.startswith(LONG))
    run_command(line, tmp_path)
    assert (tmp_path / "my-run" / "bundle").is_dir()
