"""The output of `grade`: grade, warnings and folder, on a terminal and in a pipe; or JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from REACTKDLib.commands.summary import say_summary, summary_lines
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.reports.share_words import share_line
from support.small_cases import small_case
from support.small_models import small_bundle


def report(**changes):
    case = small_case().with_findings(
        Finding("a", "warning", "The masks may be another patient's."), Finding("b", "info", "Nothing to see.")
    )
    return Grader(small_bundle(1), "cpu").open(case).grade(**changes).report


def test_the_text_summary_has_grade_warnings_and_folder():
    stream = io.StringIO()
    say_summary(report(), Path("result"), stream=stream)
    text = stream.getvalue()
    assert text.startswith("Grade: ") and "The masks may be another patient's." in text and "result" in text
    assert "Nothing to see." not in text


def test_the_text_summary_lists_shares_that_add_up_to_the_result():
    """The printed numbers are those of the report, and they add up exactly to the answer."""
    answer = report()
    lines = summary_lines(answer, Path("result"))
    assert lines[1] == share_line(answer) and " without any region, " in lines[1]
    shares = sum(row.share for row in answer.regions)
    assert answer.without_regions[answer.grade] + shares == pytest.approx(answer.probabilities[answer.grade], abs=1e-9)
    assert all(sum(row.value("share_by_grade").values()) == pytest.approx(0, abs=1e-9) for row in answer.regions)
    assert all(row.value("share_error") is None for row in answer.regions), "shares of few regions must be exact"


def test_the_json_summary_is_the_report():
    stream, answer = io.StringIO(), report()
    say_summary(answer, Path("result"), as_json=True, stream=stream)
    assert stream.getvalue().isascii() and json.loads(stream.getvalue()) == answer.to_dict()


def test_without_a_lesion_no_grade_is_given():
    lines = summary_lines(report(tumor=small_case().tumor & False), Path("result"))
    assert lines[0] == "No grade is claimed."
