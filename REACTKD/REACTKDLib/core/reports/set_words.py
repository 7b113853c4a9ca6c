"""The set of grades in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from REACTKDLib.core.text import tr as _

if TYPE_CHECKING:
    from REACTKDLib.core.reports.report import GradeReport


def set_words(report: GradeReport, grade_words: Callable[[str], str] = str) -> str:
    """Return the sentence on the grades that cannot be ruled out and its coverage; "" if the model has no sets.

    grade_words: how a grade is written. The sentence says "like those the model was tested on", since nothing is
    guaranteed for other scanners or patients.
    """
    if report.grades is None:
        return ""
    names = ", ".join(grade_words(name) for name in report.grades)
    share = f"{100 * report.grades_coverage:.0f}"
    text = _(
        "Grades that cannot be ruled out: {grades}. In {share} % of cases like those the model was tested on, the true "
        "grade is among them."
    )
    return text.format(share=share, grades=names)
