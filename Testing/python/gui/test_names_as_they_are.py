"""Names that users gave are shown as they are: no part is read as markup, as a keyboard shortcut or as a format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6 import QtGui
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel, QTableWidget, QWidget

from support.panel_steps import GRADE_S, at_hand, grade, open_folder

MARKED = "<b>x &R {0} {name} %s %1 \u05d0\u05d1 \U0001f600"  # may be the name of a folder


def is_read_as_markup(text: str, form: Any = Qt.TextFormat.AutoText) -> bool:
    """Return whether Qt would take a part of a name in this text for markup."""
    if "<b>x" not in text or form == Qt.TextFormat.PlainText:
        return False
    return form == Qt.TextFormat.RichText or QtGui.Qt.mightBeRichText(text)


def misread(user: Any) -> list[str]:
    """Return the widgets of the panel that do not show a name as it is."""
    found = []
    for widget in user.application.modules["REACTKD"].widgetRepresentation().findChildren(QWidget):
        name = widget.objectName or type(widget).__name__
        if isinstance(widget, QLabel) and is_read_as_markup(widget.text, widget.textFormat):
            found.append(f"{name}: {widget.text}")
        if is_read_as_markup(widget.toolTip):
            found.append(f"tool tip of {name}: {widget.toolTip}")
        if isinstance(widget, QAbstractButton) and "<b>x" in widget.text and not widget.shortcut.isEmpty():
            found.append(f"key of {name}: {widget.shortcut.toString()}")
        if isinstance(widget, QTableWidget):
            places = [(row, column) for row in range(widget.rowCount) for column in range(widget.columnCount)]
            tips = [widget.item(*place).toolTip() for place in places if widget.item(*place) is not None]
            found += [f"tool tip in {name}: {tip}" for tip in tips if is_read_as_markup(tip)]
    return found


@pytest.mark.parametrize("text", ["a", MARKED, "a & b", "1 < 2\n<b>x", "&lt;b&gt;", "<i>a</i>\nb"])
def test_a_tool_tip_shows_a_name_unchanged(application: Any, text: str) -> None:
    from REACTKDLib.gui.plain_text import as_is

    shown = as_is(text)
    document = QtGui.QTextDocument()
    document.setHtml(shown) if QtGui.Qt.mightBeRichText(shown) else document.setPlainText(shown)
    assert document.toPlainText() == text


def test_names_of_nodes_and_segments_are_shown_unchanged(user: Any, nodes: Any, context: Any) -> None:
    data = nodes.segmentation.GetSegmentation()
    for node in nodes.all():
        node.SetName(f"{MARKED} acetate")
    for segment_id in data.GetSegmentIDs():
        data.GetSegment(segment_id).SetName(f"{data.GetSegment(segment_id).GetName()} {MARKED} {'n' * 200}")
    user.open_section("masksSection")
    user.click("splitButton")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    assert f"The largest lesion stays in Tumor {MARKED}" in user.text("proposalLabel") and misread(user) == []
    user.click("rejectButton")
    grade(user)
    assert misread(user) == []
    data.RemoveSegment(data.GetSegmentIDs()[0])
    user.wait_until(lambda: context.nodes is None, what="the liver to be missed")
    assert misread(user) == []


def test_names_of_a_list_and_its_cases_are_shown_unchanged(
    user: Any, widget: Any, folder: Path, monkeypatch: Any, small_model: Path, context: Any
) -> None:
    context.use_bundle(small_model)
    renamed = folder.rename(folder.parent / MARKED)
    for number, case in enumerate(sorted(renamed.iterdir())):
        case.rename(renamed / f"{MARKED} {number}")
    for file in (renamed / f"{MARKED} 1").iterdir():
        file.write_bytes(b"damaged")
    open_folder(user, monkeypatch, renamed)
    assert user.text("listLabel").startswith(f"{MARKED}: 6 cases") and misread(user) == []
    user.click("nextCaseButton")
    assert user.text("casesMessageLabel") == f"Opening {MARKED} 0..." and misread(user) == []
    at_hand(user, widget, f"{MARKED} 0")
    user.toggle_section("casesSection")
    assert user.find("casesSection").text.startswith(f"Cases: {MARKED[:20]}".replace("&", "&&")) and misread(user) == []
    user.toggle_section("casesSection")
    user.click("nextCaseButton")
    user.wait_until(
        lambda: "cannot be opened" in user.text("casesMessageLabel"), GRADE_S, "the damaged case to be told"
    )
    assert MARKED in user.text("casesMessageLabel") and misread(user) == []
    user.open_section("reportSection")
    asked: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *_more, **_options: asked.append(text))
    from REACTKDLib.gui.dialogs import confirm_replacing

    confirm_replacing(renamed / f"{MARKED} 0")
    assert asked and "&lt;b&gt;x &amp;R" in asked[0] and not is_read_as_markup(asked[0])
    user.click("batchButton")
    user.wait_until(lambda: MARKED in user.text("batchLabel"), GRADE_S, "the name of a case")
    assert misread(user) == []
    user.click("cancelBatchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "the end")
