"""The commands of the researcher's tutorial run exactly as printed on the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.page_commands import REPOSITORY, commands_in

MODULES = {"grading": "REACTKDLib", "training": "REACTKDTrainLib"}
PAGE = (REPOSITORY / "docs" / "tutorials" / "researcher.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_commands_run_and_write_what_the_page_says(tmp_path: Path) -> None:
    """Two trainings of three folds, which takes minutes."""
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
    printed = []
    for program, arguments in commands_in(PAGE):
        command = [sys.executable, "-m", MODULES[program], *arguments]
        environment = {**os.environ, "PYTHONPATH": roots}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        printed.append(done.stdout)
        assert (tmp_path / "my-run").exists() or len(printed) == 1, "commands before the training must write nothing"
    named = re.findall(r"^\| `(my-run/[\w./]+)`", PAGE, re.MULTILINE)
    assert named and [path for path in named if not (tmp_path / path).exists()] == []
    report = json.loads((tmp_path / "new-result" / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["name"] != "reactkd-phantom" and report["grade"] in ("well", "moderate", "poor")
    assert "first minus second" in printed[-1] and "\n| ct | 24 | " in printed[-1]
