"""Commands that pages show: the real parsers take each of them, and those of the researcher's tutorial run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from REACTKDLib.commands.parser import build_parser as parser_of_reading
from REACTKDTrainLib.__main__ import build_parser as parser_of_training

REPOSITORY = Path(__file__).resolve().parents[3]
RECORDS = sorted((REPOSITORY / "docs" / "decisions").glob("[0-9]*.md"))  # true on their date, not today
PAGES = [REPOSITORY / "README.md", *(p for p in sorted((REPOSITORY / "docs").rglob("*.md")) if p not in RECORDS)]
PROGRAMS = {"reactkd": "REACTKDLib", "reactkd-train": "REACTKDTrainLib"}
MODULES = {f"python -m {module}": program for program, module in PROGRAMS.items()}
TUTORIAL = (REPOSITORY / "docs" / "tutorials" / "researcher.md").read_text(encoding="utf-8")


def commands_in(text: str) -> list[list[str]]:
    """The words of each command of ours in the blocks of code of a page, with the name of the program first."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(
        r"(?:^    .*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    found = []
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for module, program in MODULES.items():
            line = re.sub(rf"^\s*(?:\w+=\S+ )*{re.escape(module)} ", f"{program} ", line)
        if re.match(r"\s*reactkd(-train)? [a-z]", line):
            found.append(shlex.split(re.sub(r"\$\w+", "1", line), comments=True))  # a variable of the shell
    return found


def parse(program: str, *arguments: str) -> None:
    """Raises SystemExit or a ReactkdError where the program does not take these."""
    parser = parser_of_reading() if program == "reactkd" else parser_of_training(arguments[0])
    assert callable(parser.parse_args(arguments).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_shows_are_taken(page: Path) -> None:
    for words in commands_in(page.read_text(encoding="utf-8")):
        try:
            parse(*words)
        except (SystemExit, Exception) as error:
            pytest.fail(f"{shlex.join(words)}: {error}")


def test_commands_are_found_and_a_wrong_one_is_noticed() -> None:
    found = [words for page in PAGES for words in commands_in(page.read_text(encoding="utf-8"))]
    assert {words[0] for words in found} == set(PROGRAMS) and len(found) > 25, len(found)
    (wrong,) = commands_in("    python -m REACTKDLib grade --no-such-option x \\\n      --ct a  # why\n")
    assert wrong == ["reactkd", "grade", "--no-such-option", "x", "--ct", "a"]
    with pytest.raises((SystemExit, Exception)):
        parse(*wrong)


@pytest.mark.slow
def test_the_researchers_tutorial_runs(tmp_path: Path) -> None:
    """Two trainings of three folds: minutes."""
    roots = os.pathsep.join(str(REPOSITORY / name) for name in ("REACTKD", "REACTKDTrain"))
    printed = []
    for program, *arguments in commands_in(TUTORIAL):
        command = [sys.executable, "-m", PROGRAMS[program], *arguments]
        environment = {**os.environ, "PYTHONPATH": roots}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        printed.append(done.stdout)
        assert (tmp_path / "my-run").exists() or len(printed) == 1, "looking before training writes nothing"
    for path in re.findall(r"^\| `(my-run/[\w./]+)`", TUTORIAL, re.MULTILINE):
        assert (tmp_path / path).exists(), path
    report = json.loads((tmp_path / "new-result" / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["name"] != "reactkd-phantom" and report["grade"] in ("well", "moderate", "poor")
    assert "difference" in printed[-1]
