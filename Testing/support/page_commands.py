"""Commands of this project that pages show, and the parsers that check them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from REACTKDLib.commands import parser as grading
from REACTKDTrainLib import __main__ as training

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    REPOSITORY / "README.md",
    *(p for p in sorted((REPOSITORY / "docs").rglob("*.md")) if p.parent.name != "decisions"),
]
#: beginning of a command -> the parser of the arguments after it
PROGRAMS = {
    "reactkd": "grading",
    "python -m REACTKDLib": "grading",
    "reactkd-train": "training",
    "python -m REACTKDTrainLib": "training",
    "python REACTKDTrain/REACTKDTrain.py": "train",
}


def commands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the program and the arguments of each of our commands in a fence or an indented block."""
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
    """Raise UsageError for arguments that the program does not accept."""
    if program == "grading":
        grading.build_parser().parse_args(arguments)
    else:
        arguments = ["train", *arguments] if program == "train" else arguments
        training.build_parser(arguments[0]).parse_args(arguments)
