"""The result on standard output: a few lines for people, or the report as JSON for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from REACTKDLib.core.console import writable

if TYPE_CHECKING:
    from REACTKDLib.core.reports.report import GradeReport


def none_graded(cases: int, table: str) -> str:
    """Return the sentence for a list of which no case could be graded. table: the file whose rows have the reasons."""
    if cases == 1:
        return f"The case could not be graded; {table} says why."
    return f"None of the {cases} cases could be graded; {table} says why for each."


def summary_lines(report: GradeReport, folder: Path) -> list[str]:
    """Return grade and probabilities, every warning, and the paths of the files."""
    from REACTKDLib.core.reports.set_words import set_words
    from REACTKDLib.core.reports.share_words import explained

    if report.grade is None:
        lines = ["No grade is claimed."]
    else:
        shares = ", ".join(f"{name} {value:.3f}" for name, value in report.probabilities.items())
        lines = [f"Grade: {report.grade}{' (uncertain)' if report.uncertain else ''}   {shares}"]
        lines += [set_words(report)] if report.grades else []
        lines += [line.replace("\u2212", "-") for line in explained(report)]  # Windows consoles have no true minus
    lines += [f"Note: {finding.message}" for finding in report.findings if finding.severity != "info"]
    lines.append(f"Model {report.model.name}: {report.model.clinical_use}. Files are in {folder}.")
    return lines


def say_summary(report: GradeReport, folder: Path, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Print `summary_lines`, or the report as JSON in ASCII, which every console can show."""
    stream = sys.stdout if stream is None else stream
    text = json.dumps(report.to_dict(), allow_nan=False) if as_json else "\n".join(summary_lines(report, folder))
    print(writable(text, stream), file=stream)
