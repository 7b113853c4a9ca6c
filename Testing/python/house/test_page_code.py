"""The files that pages show for adding something are as `make lint` and `make lists` want them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.page_code import code_of

REPOSITORY = Path(__file__).resolve().parents[3]
#: page -> a name in the folder in which its files go
PAGES = {
    "add_a_cohort": "REACTKDTrain/REACTKDTrainLib/cohorts/layouts/example.py",
    "add_a_distiller": "REACTKDTrain/REACTKDTrainLib/distillation/methods/example.py",
    "add_a_section": "REACTKD/REACTKDLib/gui/example.py",
    "add_a_value": "REACTKD/REACTKDLib/core/reports/values/example.py",
}


def test_every_page_on_adding_is_listed() -> None:
    assert {path.stem for path in (REPOSITORY / "docs" / "how-to").glob("add_*.md")} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_its_files_pass_the_linter(page: str) -> None:
    pytest.importorskip("ruff", reason="ruff is of the development environment")
    for code in code_of(f"how-to/{page}.md"):
        for command in (["check"], ["format", "--diff"]):
            line = [sys.executable, "-m", "ruff", *command, "--stdin-filename", PAGES[page], "-"]
            done = subprocess.run(line, input=code, capture_output=True, text=True, cwd=REPOSITORY)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_it_says_that_the_file_must_be_listed(page: str) -> None:
    """Slicer installs listed files only, and a test compares the lists with the folders."""
    assert "`make lists`" in (REPOSITORY / "docs" / "how-to" / f"{page}.md").read_text(encoding="utf-8")
