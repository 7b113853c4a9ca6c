"""The sentences about shares: numbers that add up, names, the grade a region speaks against, regions that agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from REACTKDLib.core.reports.report import GradeReport, ReportModel, ReportRegion
from REACTKDLib.core.reports.share_words import (
    direction_words,
    directions_line,
    explained,
    pattern_words,
    same_words,
    share_line,
    whole_points,
)

MINUS = "\u2212"
PATTERN = "Number and shape of lesions"
KINDS = {"Parenchyma": "parenchyma", PATTERN: "topology"}


def a_report(grade: str, start: dict[str, float], shares: dict[str, dict[str, float]], error: float | None = None):
    rows = tuple(
        ReportRegion(
            name, KINDS.get(name, "tumor"), None, None, 0.1, None, 0.0, False,
            {"share": by_grade[grade], "share_by_grade": by_grade, "share_error": error},
        )
        for name, by_grade in shares.items()
    )  # fmt: skip
    answer = {name: value + sum(by_grade[name] for by_grade in shares.values()) for name, value in start.items()}
    model = ReportModel("a", "1", "0" * 64, "")
    return GradeReport("a", grade, answer, False, ("ct",), None, rows, (), (), model, "cpu", {}, start)


def toward(grade: str, points: float, **others: float) -> dict[str, float]:
    """Shares of a region: `points` for one grade, taken from the other two as given, by default equally."""
    rest = [name for name in ("well", "moderate", "poor") if name != grade]
    return {grade: points / 100} | {name: others.get(name, -points / 2) / 100 for name in rest}


TWO = a_report(
    "poor",
    {"well": 0.413, "moderate": 0.4506, "poor": 0.1364},
    {
        "Parenchyma": {"well": -0.010, "moderate": 0.0835, "poor": -0.0735},
        "Lesion 1": {"well": -0.135, "moderate": -0.1502, "poor": 0.2852},
        "Lesion 2": {"well": -0.135, "moderate": -0.1799, "poor": 0.3149},
        PATTERN: {"well": -0.133, "moderate": -0.1404, "poor": 0.2734},
    },
)


def test_the_line_names_every_region_and_adds_up():
    line = share_line(TWO)
    assert line == (
        f"94 % for poor: 14 without any region, Lesion 2 +31, Lesion 1 +29, {PATTERN} +27, Parenchyma {MINUS}7."
    )
    assert 14 + 31 + 29 + 27 - 7 == 94
    assert explained(TWO) == [line]


def test_many_regions_are_summed_up():
    shares = {f"Lesion {n}": toward("well", 30 - 2 * n) for n in range(1, 10)}
    line = share_line(a_report("well", {"well": -1.2, "moderate": 1.0, "poor": 1.2}, shares))
    assert "Lesion 6 +18, 3 other regions +42." in line and "Lesion 7" not in line
    assert "sampled" in share_line(a_report("well", {"well": -1.2, "moderate": 1.0, "poor": 1.2}, shares, 0.0042))
    assert "at most 0.4 points" in share_line(a_report("well", {"well": -1, "moderate": 1, "poor": 1}, shares, 0.0042))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=9))
@example([0.005, 0.005])
@example([0.345, 0.345, 0.25])
def test_printed_points_add_up_and_none_is_off_by_one(parts):
    points, total = whole_points(parts, sum(parts))
    assert sum(points) == total == round(100 * sum(parts))
    assert all(abs(found - 100 * part) <= 1 + 1e-9 for found, part in zip(points, parts, strict=True))


def test_equal_regions_are_printed_alike_where_another_number_can_give_way():
    assert whole_points([0.253, 0.344, 0.344], 0.941)[0] == [26, 34, 34]
    assert whole_points([0.241, 0.349, 0.349, 0.006, 0.009], 0.954)[0] == [24, 35, 35, 0, 1], (
        "24 was already rounded down"
    )


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"well": -0.02, "moderate": 0.10, "poor": -0.08}, "against poor"),
        ({"well": 0.20, "moderate": 0.02, "poor": -0.22}, "against poor"),
        ({"well": -0.20, "moderate": 0.15, "poor": 0.05}, "against well"),
        ({"well": 0.05, "moderate": -0.20, "poor": 0.15}, "for poor"),
        ({"well": 0.001, "moderate": 0.002, "poor": -0.003}, ""),
    ],
)
def test_for_the_middle_grade_the_opposed_grade_is_named(shares, words):
    middle = a_report("moderate", {"well": 0.3, "moderate": 0.4, "poor": 0.3}, {"Lesion 1": shares})
    assert direction_words(middle, middle.regions[0]) == words
    end = a_report("well", {"well": 0.3, "moderate": 0.4, "poor": 0.3}, {"Lesion 1": shares})
    assert direction_words(end, end.regions[0]) == "" and directions_line(end) == ""


def test_directions_are_one_sentence():
    shares = {
        "Parenchyma": {"well": -0.017, "moderate": 0.078, "poor": -0.061},
        "Lesion 1": {"well": -0.189, "moderate": 0.202, "poor": -0.013},
        "Lesion 2": {"well": -0.227, "moderate": 0.199, "poor": 0.028},
        PATTERN: {"well": 0.154, "moderate": -0.079, "poor": -0.075},
    }
    report = a_report("moderate", {"well": 0.413, "moderate": 0.451, "poor": 0.136}, shares)
    assert (
        directions_line(report) == f"Against well: Lesion 1, Lesion 2; for well: {PATTERN}; against poor: Parenchyma."
    )


def test_redundant_regions_are_named():
    assert same_words(TWO) == ""
    both = replace(TWO, redundant=(1, 2))
    assert same_words(both) == "Lesion 1 and Lesion 2 are redundant: either one alone gives the same grade."
    three = replace(TWO, redundant=(1, 2, 3))
    assert same_words(three).endswith(f"{PATTERN} are redundant: any one of them alone gives the same grade.")


def test_number_and_shape_are_named_where_they_matter():
    assert pattern_words(TWO) == ""
    shares = {"Lesion 1": toward("well", 5.2), PATTERN: toward("well", 33.5), "Parenchyma": toward("well", -3.5)}
    report = a_report("well", {"well": 0.411, "moderate": 0.5, "poor": 0.09}, shares)
    assert pattern_words(report) == f"{PATTERN} +34" and pattern_words(report) in share_line(report)


def test_a_report_without_shares_gives_no_sentence():
    old = replace(TWO, without_regions=None, regions=tuple(replace(row, others={}) for row in TWO.regions))
    assert explained(old) == [] and pattern_words(old) == ""
