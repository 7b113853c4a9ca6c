"""Several readers of one list, and a reader study, operated with mouse and keyboard."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit

from REACTKDLib.core.review.readers import reader_folder, reading_order
from support.edits import mask_of, paint
from support.killed import PATH
from support.panel_steps import CASES as ALL_CASES
from support.panel_steps import GRADE_S, at_hand, choose_model, open_folder

CASES = ALL_CASES[:2]
GRADE, CONFIDENCE, READER, DONE = 1, 2, 3, 4


@pytest.fixture
def folder(folder: Path) -> Path:
    """Two small phantoms."""
    for name in ALL_CASES[2:]:
        shutil.rmtree(folder / name)
    return folder


def answer_dialog(text: str | None, seen: list[str]) -> None:
    """Once the dialog that asks for a name is open, type a name and accept it, or cancel."""
    timer = QTimer(QApplication.instance())

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            return
        timer.stop()
        seen.append(dialog.labelText())
        if text is not None:
            field = dialog.findChild(QLineEdit)
            field.selectAll()
            QTest.keyClicks(field, text)
        dialog.reject() if text is None else dialog.accept()

    timer.connect("timeout()", answer)
    timer.start(20)


def cases_on_disk(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "review.reactkd.json").read_text(encoding="utf-8"))["cases"]


def table_of_readers(user: Any, monkeypatch: Any, path: Path) -> list[dict[str, str]]:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(path)))
    user.click("saveReadersButton")
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


OTHER_PROCESS = """
import sys
from pathlib import Path
from REACTKDLib.core.review.review import Review
for reader, grade in (("Bert", "moderate"), ("Anna", "well")):
    review = Review(Path(sys.argv[1]))
    review.read_as(reader)
    assert review.update("case 2", reader={"grade": grade})
"""


def test_two_readers_and_two_processes_on_one_list(
    user: Any, widget: Any, folder: Path, monkeypatch: Any, tmp_path: Path
) -> None:
    QSettings().remove("REACTKD/ReaderName")
    asked: list[str] = []
    answer_dialog("  Anna ", asked)
    open_folder(user, monkeypatch, folder)
    assert len(asked) == 1 and "pseudonym" in asked[0] and asked[0].count(".") == 1
    user.toggle_section("readerSection")
    assert user.text("readerNameLabel") == "Anna" and user.find("readerSection").text == "Reader: Anna"
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    user.choose("readerComboBox", "Poor")
    user.choose("difficultyComboBox", "Hard")
    QTest.keyClicks(user.find("commentEdit"), "capsule?")
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)

    # The comment is saved as soon as the case is left; another process meanwhile marks the case, as Bert and as Anna.
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    command = [sys.executable, "-c", OTHER_PROCESS, str(folder / "review.reactkd.json")]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONPATH": PATH})
    assert user.find("commentEdit").plainText == ""
    QTest.keyClicks(user.find("commentEdit"), "small")
    user.wait_until(lambda: user.text("readerComboBox") == "Well", 20, "the mark of Anna's other window")
    user.click("reviewedCheckBox")
    user.screenshot("readers-anna")

    # Bert on the same screen: nothing of Anna's, only his own mark from the other process.
    answer_dialog("Bert", asked)
    user.click("changeReaderButton")
    at_hand(user, widget, CASES[1])
    assert user.text("readerComboBox") == "Moderate" and not user.find("reviewedCheckBox").checked
    user.click("previousCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    assert user.text("readerComboBox") == "not graded" and user.text("difficultyComboBox") == "not marked"
    assert user.find("commentEdit").plainText == ""
    tumor, liver = (mask_of(nodes.segmentation, name, nodes.reference) for name in ("Tumor", "Liver"))
    assert (tumor & liver).sum() < liver.sum(), "the masks of the list, not Anna's"

    # Anna again; canceling the dialog changes nothing, and the settings hold the name.
    answer_dialog("Anna", asked)
    user.click("changeReaderButton")
    answer_dialog(None, asked)
    user.wait_until(lambda: user.find("changeReaderButton").enabled, GRADE_S, "the case to be there")
    user.click("changeReaderButton")
    nodes = at_hand(user, widget, CASES[0])
    assert user.text("readerNameLabel") == "Anna" and user.find("commentEdit").plainText == "capsule?"
    assert user.text("readerComboBox") == "Poor" and user.text("difficultyComboBox") == "Hard"
    tumor, liver = (mask_of(nodes.segmentation, name, nodes.reference) for name in ("Tumor", "Liver"))
    assert (tumor & liver).sum() == liver.sum()
    masks = folder / "review.reactkd.masks"
    assert [p.relative_to(masks).as_posix() for p in masks.rglob("*.nrrd")] == [
        f"{reader_folder('Anna')}/case 1.seg.nrrd"
    ]
    rows = table_of_readers(user, monkeypatch, tmp_path / "readers.csv")
    told = [(row["case"], row["reader"], row["reader_grade"], row["comment"], row["reviewed"]) for row in rows]
    assert told == [
        (CASES[0], "Anna", "poor", "capsule?", "no"),
        (CASES[1], "Anna", "well", "small", "yes"),
        (CASES[1], "Bert", "moderate", "", "no"),
    ]
    assert user.text("readerMessageLabel") == "Saved as readers.csv." and len(asked) == 4


def test_a_study_hides_every_result_until_the_reader_has_graded(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any, tmp_path: Path
) -> None:
    choose_model(user, small_model)
    open_folder(user, monkeypatch, folder)
    user.click("gradeOnOpeningCheckBox")
    user.click("nextCaseButton")  # graded before the study, and so stored in the review
    user.wait_until(lambda: user.rows("casesTable")[0][GRADE], GRADE_S, "a grade")
    user.toggle_section("readerSection")
    user.type("seedSpinBox", "7")
    user.click("studyCheckBox")
    assert widget.panel.reading.in_study and user.find("readerSection").text == "Reader (study)"
    assert all(line[GRADE] == line[CONFIDENCE] == "" for line in user.rows("casesTable"))
    order = [CASES[n] for n in reading_order(CASES, 7, "")]
    assert [line[0] for line in user.rows("casesTable")] == order
    table = user.find("casesTable")
    widths = [table.columnWidth(n) for n in range(table.columnCount) if not table.isColumnHidden(n)]
    assert sum(widths) == table.viewport().width, "the names take the room that is left"

    user.click("nextCaseButton")
    nodes = at_hand(user, widget, order[0])
    assert nodes.segmentation.GetDisplayNode().GetVisibility(), "the masks that the reader is to judge by"
    context = widget.panel.context
    assert context.answer_hidden and context.report is None and context.outputs is None and not context.busy
    assert "the result is hidden" in user.text("stateLabel") and not user.sees("gradeLabel")
    assert user.text("gradeButton") == "Confirm grade, show result" and not user.find("gradeButton").enabled
    nodes_of = [slicer.util.getNodesByClass(f"vtkMRML{kind}Node") for kind in ("ScalarVolume", "Table", "Model")]
    names = {node.GetName() for of_class in nodes_of for node in of_class if not node.GetHideFromEditors()}
    assert names == {f"{order[0]} {kind}" for kind in ("CT", "FDG PET", "Acetate PET")}, (
        "no map, table, surface, colors"
    )
    user.click("reviewedCheckBox")
    assert not user.find("reviewedCheckBox").checked and "Give your grade first" in user.text("casesMessageLabel")
    user.click("reviewedNextButton")
    assert context.state.case_id == order[0] and not widget.panel.reading.busy, "the case must not be skipped"
    assert not user.find("saveReadersButton").enabled
    user.choose("readerComboBox", "Well")
    user.screenshot("study-hidden", of="window")
    user.click("gradeButton")
    user.wait_until(lambda: user.sees("gradeLabel") and not context.busy, GRADE_S, "the answer")
    user.screenshot("study-shown", of="window")
    line = user.rows("casesTable")[0]
    assert line[GRADE] and not context.answer_hidden and user.rows("casesTable")[1][GRADE] == ""
    user.choose("readerComboBox", "Poor")
    user.click("reviewedCheckBox")
    record = cases_on_disk(folder)[order[0]]
    assert record["unaided"]["grade"] == "well" and record["unaided"]["seed"] == 7 and record["unaided"]["seconds"] > 0
    assert record["aided"]["grade"] == "poor" and record["aided"]["shown"]["model"]["name"]
    assert user.text("studyLabel") == "1 of 2 cases graded without the model's result, 1 finished with it."

    # The panel asks for confirmation of the end; then all answers are shown.
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: False)
    user.click("studyCheckBox")
    assert widget.panel.reading.in_study and user.find("studyCheckBox").checked
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: True)
    user.click("studyCheckBox")
    assert not widget.panel.reading.in_study and user.rows("casesTable")[0][0] == CASES[0]
    (row,) = table_of_readers(user, monkeypatch, tmp_path / "readers.csv")
    assert (row["unaided_grade"], row["aided_grade"], row["place"]) == ("well", "poor", "1") and row["model_grade"]
    user.click("gradeOnOpeningCheckBox")


def test_a_comment_typed_just_before_the_list_is_replaced_or_closed_is_kept(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    open_folder(user, monkeypatch, folder)
    user.toggle_section("readerSection")
    for typed, close in (("capsule?", "openFolderButton"), (" small", "closeListButton")):
        user.click("nextCaseButton")
        at_hand(user, widget, CASES[0])
        edit = user.find("commentEdit")
        edit.moveCursor(QTextCursor.MoveOperation.End)
        QTest.keyClicks(edit, typed)
        user.click(close)  # before the delay that saves after typing
        user.wait_until(lambda: widget.panel.reading.index is None, 20, "the case to leave")
    assert cases_on_disk(folder)[CASES[0]]["comment"]["text"] == "capsule? small"


def test_another_list_is_opened_under_a_name_that_was_changed_in_another_window(
    user: Any, widget: Any, folder: Path, monkeypatch: Any, tmp_path: Path
) -> None:
    """The settings are shared. The open case was opened again for the new name, and the other list not at all."""
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[0])
    other = tmp_path / "other"
    shutil.copytree(folder / CASES[1], other / "alone")
    QSettings().setValue("REACTKD/ReaderName", "Bert")
    open_folder(user, monkeypatch, other)
    reading = widget.panel.reading
    user.wait_until(lambda: not reading.busy, what="an idle list")
    assert reading.cases.path == other and reading.reader == "Bert" and reading.current is None
    assert not (other / "review.reactkd.json").exists()
