"""Verdict and reason fit on one screen: clean findings take one line, and what needs attention opens by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QFileDialog

from support.case_files import write_case
from support.edits import mask_of, paint
from support.panel_steps import GRADE_S, at_hand, grade, wait_for_grade

VERDICT = ("gradeLabel", "probabilityWidget", "clinicalUseLabel")
READER = ("readerComboBox", "reviewedCheckBox", "reviewedNextButton")
REASON = ("regionTable", "regionDetailsLabel")


@pytest.fixture
def cohort(phantom_case: Any, tmp_path: Path) -> Path:
    """Two cases in their own folder."""
    first = write_case(phantom_case, tmp_path / "cohort" / "case 1")
    shutil.copytree(first, tmp_path / "cohort" / "case 2")
    return tmp_path / "cohort"


def lowest(user: Any, names: tuple[str, ...]) -> int:
    """The lowest bottom edge of the widgets, in pixels from the top of the panel; all must be visible."""
    panel = user.application.modules[user.application.selected].widgetRepresentation()
    assert all(user.sees(name) for name in names), names
    return max(user.find(name).mapTo(panel, QPoint(0, user.find(name).height)).y() for name in names)


def assert_fits(user: Any, width: int) -> None:
    """Every shown column of the case list is fully visible, the important ones always; the rest is listed below."""
    table, below = user.find("casesTable"), user.text("signsLabel")
    seen = {
        table.horizontalHeaderItem(column).text(): table.columnWidth(column)
        for column in range(table.columnCount)
        if not table.isColumnHidden(column)
    }
    assert seen.keys() >= {"Case", "Grade", "Done", "Checks"} and seen["Case"] > 50, (width, seen)
    assert sum(seen.values()) <= table.viewport().width, (width, seen)
    letters = table.horizontalHeader().fontMetrics()
    assert all(letters.horizontalAdvance(title) < pixels for title, pixels in seen.items()), (width, seen)
    assert ("Images" in seen) == (width == 600) and ("Images: CT FDG Ac M" in below) == (width != 600)
    assert ("Conf.: " in below) == ("Conf." not in seen), "what has no column is said below"


def test_result_reader_grade_and_table_are_visible_without_scrolling(
    application: Any, user: Any, widget: Any, context: Any, small_model: Path, cohort: Path, monkeypatch: Any
) -> None:
    application.window.set_panel_width(300)
    user.open_section("settingsSection")
    user.type("modelPathEdit", str(small_model))
    user.toggle_section("settingsSection")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_: str(cohort)))
    user.open_section("casesSection")
    user.click("openFolderButton")
    user.click("nextCaseButton")
    at_hand(user, widget, "case 1")
    grade(user)
    user.click("gradeButton")
    wait_for_grade(user)
    panel = application.modules["REACTKD"].widgetRepresentation()
    assert panel.minimumSizeHint().width() <= 300, "with a list open"
    for width in (300, 600, 420):
        application.window.set_panel_width(width)
        user.settle()  # the list chooses its columns after the window has finished its layout
        user.screenshot(f"one-screen-{width}")
        assert not user.find("regionTable").horizontalScrollBar().isVisible(), width
        assert_fits(user, width)
    user.toggle_section("inputsSection")  # opened by a warning about the phantom's coarse pixels
    assert lowest(user, (*VERDICT, *READER, *REASON)) <= 900, "with the list of cases open as well"
    assert user.find("inputsSection").text.startswith("Inputs") and user.find("masksSection").collapsed
    user.choose("readerComboBox", "Poor")
    user.click("reviewedNextButton")
    user.wait_until(lambda: context.state.case_id == "case 2" and not widget.panel.reading.busy, GRADE_S, "the next")
    known = widget.panel.reading.review.of("case 1")
    assert known.reader_grade == "poor" and known.reviewed is not None
    user.toggle_section("casesSection")
    assert "case 2 of 2, 1 reviewed" in user.find("casesSection").toolTip


def test_clean_findings_take_one_line_and_problems_open_their_section(user: Any, nodes: Any) -> None:
    inputs, masks = user.find("inputsSection"), user.find("masksSection")
    assert inputs.collapsed and inputs.text == "Inputs: CT, FDG, acetate"
    assert masks.collapsed and masks.text == "Masks: not checked yet"
    user.toggle_section("inputsSection")
    assert inputs.text == "Inputs" and user.sees("ctSelector")
    user.choose("fdgSelector", None)
    assert not inputs.collapsed, "a section in use must stay open"
    user.toggle_section("inputsSection")
    assert inputs.text == "Inputs: CT, acetate"
    user.toggle_section("inputsSection")
    user.choose("segmentationSelector", None)
    user.toggle_section("inputsSection")
    user.toggle_section("inputsSection")
    user.choose("segmentationSelector", nodes.segmentation)
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    far = np.zeros_like(liver)
    far[2:5, 4:9, 4:9] = True
    paint(nodes.segmentation, "Tumor", far & ~liver, nodes.reference)
    grade(user)
    assert not masks.collapsed and user.sees("findingLabel0"), "a finding opens the section"
    user.toggle_section("masksSection")
    assert masks.text == "Masks: 3 to check"
    grade(user)
    assert masks.collapsed, "what was closed by hand stays closed while nothing new is found"
    assert user.sees("inputsWarningLabel") and not user.sees("ctSelector"), "a remark on the images, and no more"
    user.screenshot("one-screen-findings")
    user.click("showChoicesButton")
    assert user.sees("ctSelector")
