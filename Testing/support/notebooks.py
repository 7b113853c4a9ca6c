"""Notebooks in script form: cells start with `# %%`; `# -> ` marks the output of the last expression of a cell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
_SHOWN = "# -> "


@dataclass(frozen=True)
class Cell:
    """A code cell. shown: its output as written in the notebook, "" for none. line: its first line."""

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

    Raises: AssertionError if the output of a cell differs from the notebook.
    """
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in cells_of(path):
        tree = ast.parse(cell.code, filename=str(path))
        ast.increment_lineno(tree, cell.line - 1)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, str(path), "exec"), names)
        value = eval(compile(ast.Expression(last.value), str(path), "eval"), names) if last is not None else None
        if cell.shown:
            assert repr(value) == cell.shown, f"{path.name}, line {cell.line}: {value!r}"
    return names
