"""Names that users gave are shown as they are: no part is read as markup, as a keyboard shortcut or as a format.

A name turns nothing beside it: control characters are escaped, and letters from right to left are isolated.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6 import QtGui
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QListWidget, QTableWidget, QWidget

from support.panel_steps import GRADE_S, at_hand, grade, open_folder, without_work

MARKED = "<b>x &R {0} {name} %s %1 \u05d0\u05d1 \U0001f600"  # may be the name of a folder


TURNED = "a\u202egnp\u2066b\u0007\u2028c"  # "a", and "png" backwards in a row of its own
SEEN = "a\\u202egnp\\u2066b\\x07\\u2028c"
HEBREW = "\u05d0\u05d1"
ISOLATES = "\u2068", "\u2069"


def bare(text: str) -> str:
    """Return a text without the invisible characters that isolate names."""
    return text.replace(ISOLATES[0], "").replace(ISOLATES[1], "")


def turns(text: str) -> bool:
    """Return whether a control character, or a letter from right to left that is not isolated, is in the text."""
    rest = re.sub("\u2068[^\u2069]*\u2069", "", text)
    wrong = any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in "\n\t" for c in bare(text))
    alone = re.fullmatch(rf"(Liver |Tumor )?{HEBREW}\d?", rest)  # in a row or cell of its own
    return wrong or (HEBREW in rest and alone is None)


def turned(user: Any) -> list[str]:
    """Return the texts of the panel that a name turns. Slicer's own selectors of nodes are not the panel's."""
    found = []
    for widget in user.application.modules["REACTKD"].widgetRepresentation().findChildren(QWidget):
        name = widget.objectName or type(widget).__name__
        texts = [widget.toolTip, getattr(widget, "text", "")]
        if isinstance(widget, QTableWidget):
            places = [(row, column) for row in range(widget.rowCount) for column in range(widget.columnCount)]
            items = [widget.item(*place) for place in places if widget.item(*place) is not None]
            texts += [text for item in items for text in (item.text(), item.toolTip())]
        if isinstance(widget, QListWidget):
            texts += [widget.item(row).text() for row in range(widget.count)]
        if isinstance(widget, QComboBox) and widget.objectName:
            texts += [widget.itemText(n) for n in range(widget.count)]
        found += [f"{name}: {ascii(text)}" for text in texts if isinstance(text, str) and turns(text)]
    return found


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
    assert f"The largest lesion stays in Tumor {MARKED}" in bare(user.text("proposalLabel")) and misread(user) == []
    user.click("rejectButton")
    grade(user)
    assert misread(user) == []
    data.RemoveSegment(data.GetSegmentIDs()[0])
    user.wait_until(lambda: context.nodes is None, what="the liver to be missed")
    assert misread(user) == []


def renamed_list(folder: Path, name: str, case: str) -> Path:
    """Rename the folder of a list to `name`, and its cases to `case` and a number from 0; damage case 1."""
    renamed = folder.rename(folder.parent / name)
    for number, own in enumerate(sorted(renamed.iterdir())):
        own.rename(renamed / f"{case}{number}")
    for file in (renamed / f"{case}1").iterdir():
        file.write_bytes(b"damaged")
    return renamed


def test_names_of_a_list_and_its_cases_are_shown_unchanged(
    user: Any, widget: Any, folder: Path, monkeypatch: Any, small_model: Path, context: Any, worker: Any
) -> None:
    context.use_bundle(small_model)
    renamed = renamed_list(folder, MARKED, f"{MARKED} ")
    open_folder(user, monkeypatch, renamed)
    assert bare(user.text("listLabel")).startswith(f"{MARKED}: 6 cases") and misread(user) == []
    with without_work(user):
        user.click("nextCaseButton")
        assert bare(user.text("casesMessageLabel")) == f"Opening {MARKED} 0..." and misread(user) == []
    at_hand(user, widget, f"{MARKED} 0")
    user.toggle_section("casesSection")
    assert (
        bare(user.find("casesSection").text).startswith(f"Cases: {MARKED[:20]}".replace("&", "&&"))
        and misread(user) == []
    )
    user.toggle_section("casesSection")
    user.click("nextCaseButton")
    user.wait_until(
        lambda: "cannot be opened" in user.text("casesMessageLabel"), GRADE_S, "the damaged case to be told"
    )
    assert MARKED in bare(user.text("casesMessageLabel")) and misread(user) == []
    user.open_section("reportSection")
    asked: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *_more, **_options: asked.append(text))
    from REACTKDLib.gui.dialogs import confirm_replacing

    confirm_replacing(renamed / f"{MARKED} 0")
    assert asked and "&lt;b&gt;x &amp;R" in asked[0] and not is_read_as_markup(asked[0])
    with worker.answers_unread():
        user.click("batchButton")
        user.wait_until(lambda: MARKED in bare(user.text("batchLabel")), GRADE_S, "the name of a case")
        assert misread(user) == []
        user.click("cancelBatchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "the end")


@pytest.mark.parametrize("name", [TURNED, HEBREW])
def test_names_of_segments_turn_nothing(user: Any, nodes: Any, context: Any, name: str) -> None:
    data = nodes.segmentation.GetSegmentation()
    for segment_id in data.GetSegmentIDs():
        data.GetSegment(segment_id).SetName(f"{data.GetSegment(segment_id).GetName()} {name}")
    user.open_section("inputsSection")
    user.wait_until(lambda: user.find("tumorList").item(1).text() != "Tumor", what="the name")
    user.open_section("masksSection")
    user.click("splitButton")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    assert turned(user) == []
    isolated = {TURNED: f"Tumor {SEEN}; each", HEBREW: f"\u2068Tumor {HEBREW}\u2069; each"}
    assert isolated[name] in user.text("proposalLabel")
    user.click("rejectButton")


@pytest.mark.parametrize("name", [TURNED, HEBREW])
def test_names_of_a_list_and_its_cases_turn_nothing(
    user: Any, widget: Any, folder: Path, monkeypatch: Any, small_model: Path, context: Any, worker: Any, name: str
) -> None:
    context.use_bundle(small_model)
    renamed = renamed_list(folder, name, name)
    isolated = {TURNED: SEEN, HEBREW: f"\u2068{HEBREW}\u2069"}[name]
    open_folder(user, monkeypatch, renamed)
    assert turned(user) == []
    assert user.text("listLabel").startswith(f"{isolated}: 6 cases")
    with without_work(user):
        user.click("nextCaseButton")
        assert bare(user.text("casesMessageLabel")) == f"Opening {bare(isolated)}0..." and turned(user) == []
    at_hand(user, widget, f"{name}0")
    user.click("nextCaseButton")
    user.wait_until(lambda: "cannot be opened" in user.text("casesMessageLabel"), GRADE_S, "the damaged case")
    assert turned(user) == []
    user.open_section("reportSection")
    with worker.answers_unread():
        user.click("batchButton")
        user.wait_until(lambda: bare(isolated) in bare(user.text("batchLabel")), GRADE_S, "the name of a case")
        assert turned(user) == []
        user.click("cancelBatchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "the end")
