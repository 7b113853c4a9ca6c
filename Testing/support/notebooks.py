"""Notebooks in script form: cells start with `# %%`; `# -> ` marks the last lines that a cell prints."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
_SHOWN = "# -> "


@dataclass(frozen=True)
class Cell:
    """A code cell. shown: its last lines of output as written in the notebook, "" for none. line: its first line."""

    code: str
    shown: str
    line: int


def cells_of(path: Path) -> Iterator[Cell]:
    """Yield the code cells; text cells are skipped."""
    text = path.read_text(encoding="utf-8")
    marks = [*_CELL.finditer(text)]
    for mark, end in zip(marks, [*(m.start() for m in marks[1:]), len(text)], strict=True):
        if "[markdown]" in mark[1]:
            continue
        body = text[mark.end() : end]
        shown = [line.removeprefix(_SHOWN) for line in body.splitlines() if line.startswith(_SHOWN)]
        yield Cell(body, "\n".join(shown), text.count("\n", 0, mark.start()) + 1)


def run(path: Path) -> dict[str, Any]:
    """Run every cell in the current folder and return the resulting names.

    Raises: AssertionError if a cell does not end its output with what the notebook shows.
    """
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells_of(path):
        tree = ast.parse(cell.code, filename=str(path))
        ast.increment_lineno(tree, cell.line - 1)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(tree, str(path), "exec"), names)
        lines, shown = printed.getvalue().splitlines(), cell.shown.splitlines()
        last = lines[len(lines) - len(shown) :]
        assert last == shown, f"{path.name}, line {cell.line}: {last}"
    return names
