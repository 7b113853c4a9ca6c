"""Every command of ours that a page shows is one that the parsers take; README's are also run (test_readme.py)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from REACTKDLib.commands import parser as grading
from REACTKDLib.core.errors import UsageError
from REACTKDTrainLib import __main__ as training

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = [page for page in (REPOSITORY / "docs").rglob("*.md") if page.parent.name != "decisions"]
#: how a command of ours begins -> what the arguments after it are given to
PROGRAMS = {
    "reactkd": "grading",
    "python -m REACTKDLib": "grading",
    "reactkd-train": "training",
    "python -m REACTKDTrainLib": "training",
    "python REACTKDTrain/REACTKDTrain.py": "train",
}


def commands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the program and the arguments of each command of ours, in a fence or an indented block."""
    text = re.sub(r"\\\n\s*", " ", text)
    fences = re.findall(r"^( *)```sh\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for _indent, block in fences for line in block.splitlines()]
    lines += re.findall(r"(?<=\n)    (.+)", re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in lines:
        line = re.sub(r"\$\w+", "1", re.sub(r"^(\w+=\S+ )+", "", line.strip()))
        for start, program in PROGRAMS.items():
            if line.startswith(f"{start} "):
                yield program, shlex.split(line.removeprefix(start), comments=True)


def check(program: str, arguments: list[str]) -> None:
    """Raise UsageError for arguments that the program does not take."""
    if program == "grading":
        grading.build_parser().parse_args(arguments)
    else:
        arguments = ["train", *arguments] if program == "train" else arguments
        training.build_parser(arguments[0]).parse_args(arguments)


COMMANDS = {page: list(commands_in(page.read_text(encoding="utf-8"))) for page in PAGES}


def test_commands_are_found() -> None:
    assert sum(map(len, COMMANDS.values())) > 40


@pytest.mark.parametrize("page", [page for page, found in COMMANDS.items() if found], ids=lambda page: page.name)
def test_the_commands_of_a_page_are_taken(page: Path) -> None:
    for program, arguments in COMMANDS[page]:
        check(program, arguments)


def test_a_command_that_is_not_taken_is_noticed() -> None:
    text = "Text\n\n    reactkd grade --ct a.nii.gz \\\n      --sgmentation b.nrrd --output c  # why\n"
    ((program, arguments),) = commands_in(text)
    assert arguments[-2:] == ["--output", "c"]
    with pytest.raises(UsageError):
        check(program, arguments)
