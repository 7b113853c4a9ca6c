"""The figure of a report: its numbers are those of the page, and a case without a grade has no axes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from REACTKDLib.core.reports.html import report_page
from support.scene_cases import make_case, make_result

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def report():
    return make_result(make_case()).report


def labels(figure):
    return [text.get_text() for text in figure.axes[1].texts]


def test_shares_have_the_numbers_of_the_page(report):
    page, shown = report_page(report), labels(report.show())
    assert len(shown) == len(report.regions) and len(set(shown)) > 2
    assert all(f"<td>{text}</td>" in page for text in shown), "a share differs from that of the page"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.195, "+19.5"), (-0.055, "\u22125.5"), (0.0, "0.0")]
)
def test_a_share_has_a_true_sign_or_none(report, share, text):
    rows = tuple(replace(row, others={**row.others, "share": share}) for row in report.regions)
    assert set(labels(replace(report, regions=rows).show())) == {text}


def test_a_case_without_a_grade_has_no_empty_axes(report):
    no_values = {"weight": None, "contribution": None, "deletion_effect": None, "others": {}}
    rows = tuple(replace(row, **no_values) for row in report.regions)
    none = replace(report, grade=None, probabilities=None, baseline=None, without_regions=None, regions=rows)
    figure = none.show()
    assert "no grade is claimed" in figure.get_suptitle()
    assert not any(axis.axison for axis in figure.axes)
    assert all(axis.axison for axis in report.show().axes)


def test_a_name_from_right_to_left_turns_nothing_after_it(report):
    title = replace(report, case="\u0645\u062d\u0645\u062f 40").show().get_suptitle()
    assert title == "\u2068\u0645\u062d\u0645\u062f 40\u2069: predicted grade poor"


def test_each_region_has_one_bar_beside_its_name(report):
    """The bars of fresh reports lay over each other, beside a row "Parenchyma0.8"."""
    figure = report.show()
    figure.canvas.draw()
    for axis, names in zip(figure.axes, (list(report.probabilities), [row.name for row in report.regions])):
        assert [label.get_text() for label in axis.get_yticklabels()] == names
        assert [bar.get_y() + bar.get_height() / 2 for bar in axis.patches] == pytest.approx(range(len(names)))
        assert {round(bar.get_height(), 6) for bar in axis.patches} == {0.8}
