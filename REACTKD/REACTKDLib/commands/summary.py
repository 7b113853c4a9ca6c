"""The answer in a few lines, for a person at a terminal; a pipe gets nothing, since the files hold it all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from REACTKDLib.core.console import writable

if TYPE_CHECKING:
    from REACTKDLib.core.reports.report import GradeReport


def summary_lines(report: GradeReport, folder: Path) -> list[str]:
    """Grade and probabilities, every warning, and where the files are."""
    if report.grade is None:
        lines = ["No grade is claimed."]
    else:
        shares = ", ".join(f"{name} {value:.3f}" for name, value in report.probabilities.items())
        lines = [f"Grade: {report.grade}{' (uncertain)' if report.uncertain else ''}   {shares}"]
        from REACTKDLib.core.reports.share_words import explained

        lines += explained(report)
    lines += [f"Note: {finding.message}" for finding in report.findings if finding.severity != "info"]
    lines.append(f"Model {report.model.name}: {report.model.clinical_use}. Files are in {folder}.")
    return lines


def say_summary(report: GradeReport, folder: Path, stream: TextIO | None = None) -> None:
    """Print `summary_lines` on a terminal."""
    stream = sys.stdout if stream is None else stream
    if getattr(stream, "isatty", lambda: False)():
        print(writable("\n".join(summary_lines(report, folder)), stream), file=stream)
