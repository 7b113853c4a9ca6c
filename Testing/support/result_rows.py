"""Reads the result tables of a batch, by case."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from REACTKDLib.core.cases.case_list import RESULTS


def rows_of(output: Path, table: str = RESULTS) -> dict[str, dict[str, str]]:
    """Return the rows of the table in an output folder, {case: row}, in its order."""
    with open(output / table, encoding="utf-8", newline="") as stream:
        return rows_in(stream.read())


def rows_in(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table, {case: row}, in its order."""
    return {row["case"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
