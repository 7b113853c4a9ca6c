"""A list is read with mouse and keyboard: graded, corrected, marked, closed and resumed."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.review import review as review_module
from REACTKDLib.core.review.record import answer_of
from REACTKDLib.core.review.stored_answers import StoredAnswers
from REACTKDLib.scene import mask_saving
from REACTKDLib.scene.volumes import grid_of
from support.edits import ball, erase, mask_of, paint
from support.panel_steps import (
    CASES,
    GRADE_S,
    at_hand,
    choose_model,
    grade,
    open_first,
    open_folder,
    panel_of,
    toggle_box,
    wait_for_annotations,
    wait_for_grade,
    without_work,
)
from support.read_only import read_only

CASE, GRADE, CONFIDENCE, READER, DONE, CHECKS, IMAGES = range(7)


def press(user: Any, key: Any) -> None:
    """Press a key together with Ctrl, wherever the focus is."""
    user.press_shortcut(key, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)


def volumes() -> int:
    """The number of volumes a user sees; the module's own views show hidden ones with the same voxels."""
    return sum(not node.GetHideFromEditors() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))


def held() -> list[str]:
    """The names of the volumes, visible or hidden, that hold voxels."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node.GetName() for node in nodes if node.GetImageData() is not None]


def row(user: Any, number: int) -> list[str]:
    return user.rows("casesTable")[number]


def says(user: Any, words: str) -> bool:
    """Whether the line below the button says so; it appears shortly after the edit is noticed."""
    return user.sees("stateLabel") and words in user.text("stateLabel")


@pytest.mark.parametrize("count", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_list_is_graded_corrected_marked_closed_and_resumed(
    count: int, application: Any, user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    cases = CASES[:count]
    for name in CASES[count:]:
        shutil.rmtree(folder / name)
    choose_model(user, small_model)
    before = {path: path.read_bytes() for path in folder.rglob("*.nrrd")}
    user.toggle_section("casesSection")
    user.screenshot("cases-none")
    open_folder(user, monkeypatch, folder)
    assert [line[CASE] for line in user.rows("casesTable")] == cases
    assert all(line[IMAGES] == "CT FDG Ac M" and line[GRADE] == "" for line in user.rows("casesTable"))
    assert user.text("listLabel") == f"cohort: {count} cases, 0 reviewed."
    user.screenshot("cases-opened")

    # Each case is graded; the keys step to the next one.
    for number, name in enumerate(cases):
        press(user, Qt.Key.Key_N)
        at_hand(user, widget, name)
        assert user.text("listLabel") == f"cohort: case {number + 1} of {count}, 0 reviewed."
        grade(user)
        assert row(user, number)[GRADE] in ("Well", "Moderate", "Poor") and "%" in row(user, number)[CONFIDENCE]
    user.screenshot("cases-graded", of="window")
    press(user, Qt.Key.Key_N)
    assert user.text("casesMessageLabel") == "This is the last case of the list."
    assert volumes() == 4, "three images and the voxel map"

    # Back to the second case: its masks are corrected, and the grade is updated.
    user.click_cell("casesTable", 1, double=True)
    nodes = at_hand(user, widget, cases[1])
    grade(user)
    first = widget.panel.context.report
    corrected = correct(nodes)
    user.wait_until(lambda: widget.panel.context.outdated, 10, "the edit to be seen")
    user.wait_until(lambda: says(user, "changed since"), 10, "the edit to be told")
    grade(user)
    second = widget.panel.context.report
    assert second.probabilities != first.probabilities
    assert {line.volume_ml for line in second.regions}.isdisjoint(
        line.volume_ml for line in first.regions if line.volume_ml
    )
    shown = row(user, 1)

    # The reader's own grade, then marked as reviewed.
    user.choose("readerComboBox", "Well")
    user.click("reviewedCheckBox")
    assert row(user, 1)[READER] == "Well" and row(user, 1)[DONE] == "yes"
    user.screenshot("cases-reviewed", of="window")
    press(user, Qt.Key.Key_P)
    at_hand(user, widget, cases[0])
    assert user.text("readerComboBox") == "not graded" and not user.find("reviewedCheckBox").checked
    assert {path: path.read_bytes() for path in before} == before, "the files of the list are as they were"
    table = user.rows("casesTable")
    user.click("todoCheckBox")
    assert [line[CASE] for line in user.rows("casesTable")] == [cases[0], *cases[2:]]
    user.click("todoCheckBox")

    # The next day.
    user.click("closeListButton")
    user.wait_until(lambda: widget.panel.reading.cases is None, 10, "the list to close")
    assert volumes() == 0
    user.wait_until(lambda: not held(), 10, "the views to let go of the voxels")
    application.select_module("SegmentEditor")
    application.close()
    application.select_module("REACTKD")
    again = application.modules["REACTKD"].widgetRepresentation().self()
    choose_model(user, small_model)
    open_folder(user, monkeypatch, folder)
    assert user.rows("casesTable") == table
    assert row(user, 1) == [*shown[:READER], "Well", "yes", *shown[CHECKS:]]
    user.click_cell("casesTable", 1, double=True)
    nodes = at_hand(user, again, cases[1])
    assert user.text("readerComboBox") == "Well" and user.find("reviewedCheckBox").checked
    for name, mask in corrected.items():
        assert (mask_of(nodes.segmentation, name, nodes.reference) == mask).all(), name
    grade(user)
    assert row(user, 1)[:READER] == shown[:READER]


def test_an_earlier_result_is_shown_when_the_case_is_opened_again(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    for name in CASES[2:]:
        shutil.rmtree(folder / name)
    choose_model(user, small_model)
    open_folder(user, monkeypatch, folder)
    user.toggle_section("reportSection")
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[0])
    grade(user)
    first, shown = widget.panel.context.report, row(user, 0)
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    assert not user.sees("gradeLabel") and not user.find("savePageButton").enabled
    user.click("previousCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    report = widget.panel.context.report
    assert report is not first and report.to_dict() == first.to_dict() and row(user, 0) == shown
    assert user.text("stateLabel").startswith("Stored result of 2") and "since" not in user.text("stateLabel")
    assert all(user.find(name).enabled for name in ("savePageButton", "saveJsonButton", "saveCsvButton"))
    assert len(user.rows("regionTable")) == len(report.regions)
    hint = user.text("whyHintLabel").splitlines()[-1]
    assert hint == "Click a row to see the region.", "the views show the user's segments, in colors of their own"
    user.screenshot("stored-answer")

    # Corrected without a new grade: the answer is marked as outdated, in this session and in the next.
    correct(nodes)
    user.wait_until(lambda: says(user, "the masks changed"), 10, "the edit to be told")
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    user.click("previousCaseButton")
    at_hand(user, widget, CASES[0])
    assert "the masks changed" in user.text("stateLabel") and "(old masks)" in row(user, 0)[GRADE]
    user.type("modelPathEdit", "")
    assert "the masks and the model changed" in user.text("stateLabel")
    toggle_box(user, "regionTable", 1)
    assert "another model" in user.text("whatIfLabel"), "numbers of two models must not be shown together"
    assert not widget.panel.context.busy
    choose_model(user, small_model)
    grade(user)
    assert not user.sees("stateLabel") and "(old masks)" not in row(user, 0)[GRADE]

    # A stored answer that differs from the one in the review is not used for this case.
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    kept = next((folder / "review.reactkd.results").glob("*.json"))
    kept.write_text(kept.read_text().replace('"tumor"', '"tumour"'))
    user.click("previousCaseButton")
    at_hand(user, widget, CASES[0])
    assert not user.sees("gradeLabel") and user.text("stateLabel") == "Ready to grade."


def test_the_list_is_searched_and_sorted(user: Any, widget: Any, folder: Path, monkeypatch: Any) -> None:
    open_folder(user, monkeypatch, folder)
    review = widget.panel.reading.review
    for name, share, findings in ((CASES[1], 0.9, 0), (CASES[4], 0.4, 2), (CASES[2], 0.6, 1)):
        answer = {
            "grade": "poor", "probabilities": {"well": 0.0, "moderate": 1 - share, "poor": share}, "uncertain": False,
            "inputs": ["ct"], "device": "cpu", "model": {"name": "m", "version": "1", "sha256": "0" * 64},
            "findings": [{"code": "coarse-pixels", "severity": "warning", "message": "Coarse."}] * findings,
            "lesions": 1, "tumor_ml": 1.0, "outdated": False,
        }  # fmt: skip
        assert review.update(name, answer=answer)

    def order() -> list[str]:
        return [line[CASE].removeprefix("case ") for line in user.rows("casesTable")]

    user.choose("orderComboBox", "Least certain first")
    assert order() == ["5", "3", "2", "1", "4", "6"]
    user.screenshot("cases-sorted")
    user.choose("orderComboBox", "Most findings first")
    assert order() == ["5", "3", "2", "1", "4", "6"]
    user.choose("orderComboBox", "Most certain first")
    assert order() == ["2", "3", "5", "1", "4", "6"]
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    user.type("searchEdit", "E 4")
    assert order() == ["4"] and "of 6" in user.text("listLabel")
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[3])
    user.type("searchEdit", "")
    user.choose("orderComboBox", "As listed")
    assert order() == list("123456")


def correct(nodes: Any) -> dict[str, np.ndarray]:
    """Paint, erase, delete a lesion and add one, as the Segment Editor would; return the resulting masks."""
    from scipy.ndimage import label

    segmentation, reference = nodes.segmentation, nodes.reference
    tumor, liver = (mask_of(segmentation, name, reference) for name in ("Tumor", "Liver"))
    lesions, count = label(tumor, np.ones((3, 3, 3)))
    largest = lesions == 1 + np.argmax(np.bincount(lesions.ravel())[1:])
    k, j, i = np.argwhere(largest).mean(axis=0).round().astype(int)
    paint(segmentation, "Tumor", np.roll(largest, 1, axis=2) & liver, reference)
    half = largest.copy()
    half[:k] = False
    erase(segmentation, "Tumor", half & (np.indices(half.shape)[1] > j), reference)
    if count > 1:
        erase(segmentation, "Tumor", (lesions > 0) & ~largest, reference)
    segmentation.GetSegmentation().AddEmptySegment("Tumor 2", "Tumor 2")
    free = np.argwhere(liver & ~largest)
    far = free[np.argmax(((free - [k, j, i]) ** 2).sum(axis=1))]
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    reference.GetIJKToRASMatrix(matrix)
    center = slicer.util.arrayFromVTKMatrix(matrix) @ [*far[::-1], 1.0]
    paint(segmentation, "Tumor 2", ball(reference, center[:3], 12.0) & liver, reference)
    return {name: mask_of(segmentation, name, reference) for name in ("Tumor", "Tumor 2", "Liver")}


def test_a_case_is_graded_on_opening_if_selected(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    choose_model(user, small_model)
    for name in CASES[2:]:
        shutil.rmtree(folder / name)
    open_folder(user, monkeypatch, folder)
    user.click("gradeOnOpeningCheckBox")  # in the section that choose_model opened
    user.click("nextCaseButton")
    user.wait_until(lambda: row(user, 0)[GRADE], GRADE_S, "the first grade")
    controller = widget.panel.context.controller
    user.wait_until(
        lambda: not controller.busy and not controller.dispatcher.waiting, GRADE_S, "the second, read ahead"
    )
    user.click("nextCaseButton")
    user.wait_until(lambda: row(user, 1)[GRADE], GRADE_S, "the second grade")
    user.click("gradeOnOpeningCheckBox")
    assert widget.panel.context.report.case == CASES[1]
    assert controller.answer.encoder_calls == 0, "the case must have been encoded ahead"


def test_cases_are_opened_and_names_drawn_without_waiting_between_the_steps(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    """The panel works for 15 ms at a time, and was called again only 30 ms later."""
    from REACTKDLib.gui.panel import BUSY_POLL_MS, POLL_MS

    panel, seen = panel_of(user), {"opening": [], "names": [], "": []}
    views = next(section for section in panel.sections if section.ui_file == "ViewsPanel.ui")

    def look() -> None:
        at_work = "opening" if panel.reading.loader.busy else "names" if views.working else ""
        seen[at_work if not panel.context.busy else "opening"].append(panel.timer.interval)

    panel.timer.connect("timeout()", look)  # after the panel has worked
    open_first(user, widget, monkeypatch, folder, small_model, 2)
    grade(user)
    wait_for_annotations(user)
    user.wait_until(lambda: panel.timer.interval == POLL_MS, what="nothing left to do")
    panel.timer.disconnect("timeout()", look)  # which would keep the panel, and the masks of this case
    assert set(seen["opening"]) == set(seen["names"]) == {BUSY_POLL_MS}
    assert POLL_MS in seen[""]


@pytest.mark.parametrize("edited", [False, True])
def test_the_open_case_shows_its_result_of_the_whole_list_if_it_is_of_these_masks(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any, edited: bool
) -> None:
    nodes = only_case(user, widget, folder, small_model, monkeypatch)
    user.click("batchButton")
    if edited:
        correct(nodes)
    user.wait_until(lambda: not user.find("cancelBatchButton").enabled, GRADE_S, "the batch")
    user.settle()
    context = widget.panel.context
    if edited:
        assert not user.sees("gradeLabel") and context.report is None
        return
    assert user.text("stateLabel").startswith("Stored result of 2") and "since" not in user.text("stateLabel")
    first = context.report
    assert first.grade is not None and user.find("savePageButton").enabled
    correct(nodes)
    user.wait_until(lambda: says(user, "the masks changed"), 10, "the edit to be told")
    user.click("batchButton")  # saves the edit, and grades what is outdated
    user.wait_until(lambda: context.report is not first, GRADE_S, "the newer answer")
    assert "since" not in user.text("stateLabel") and "(old masks)" not in row(user, 0)[GRADE]


def test_a_result_of_the_whole_list_is_shown_even_within_a_second_or_while_work_ends(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    nodes = only_case(user, widget, folder, small_model, monkeypatch)
    context, reading = widget.panel.context, widget.panel.reading
    one_second = review_module.now()  # times are written to the second
    monkeypatch.setattr(review_module, "now", lambda: one_second)
    grade_list(user)
    first = context.report
    correct(nodes)
    user.wait_until(lambda: says(user, "the masks changed"), 10, "the edit to be told")
    grade_list(user)
    second = context.report
    assert second.probabilities != first.probabilities, "the answer to the edited masks has the same time"

    # Another answer arrives while a question to the model is being stopped.
    context.what_if(["lesion 1"], [])
    assert context.busy
    known = dict(reading.review.whole(CASES[0]).answer)
    StoredAnswers(reading.cases, reading.review).keep(reading.current, first)
    reading.review.update(CASES[0], answer={**answer_of(first), "at": known["at"]})
    reading.changed()
    assert context.report is second
    context.cancel()
    user.wait_until(lambda: not context.busy, GRADE_S, "the work to stop")
    assert context.report.probabilities == first.probabilities


def only_case(user: Any, widget: Any, folder: Path, model: Path, monkeypatch: Any) -> Any:
    """Open a list of one case and the section Report; return the nodes of the case."""
    nodes = open_first(user, widget, monkeypatch, folder, model, cases=1)
    user.toggle_section("reportSection")
    return nodes


def grade_list(user: Any) -> None:
    """Grade the whole list, and wait for the end."""
    section = next(section for section in panel_of(user).sections if section.ui_file == "ReportPanel.ui")
    before = section.batch
    user.click("batchButton")  # a small list may be graded before the next look at the buttons
    user.wait_until(lambda: section.batch is not before and not section.batch.running, GRADE_S, "the batch")


def test_a_long_list_is_shown_in_parts(user: Any, widget: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from REACTKDLib.gui.cases_table import ROWS_AT_ONCE

    names = [f"case {n}" for n in range(3 * ROWS_AT_ONCE + 5)]
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    (tmp_path / "masks.seg.nrrd").write_bytes(b"")
    lines = [f"{name},ct.nii.gz,masks.seg.nrrd\n" for name in names]
    (tmp_path / "list.csv").write_text("case,ct,segmentation\n" + "".join(lines))
    table, seen = widget.panel.sections[0].table, []
    write = table._write
    monkeypatch.setattr(table, "_write", lambda number, *more: seen.append(number) or write(number, *more))
    user.toggle_section("casesSection")
    widget.panel.reading.open_list(tmp_path / "list.csv")
    assert seen == [], "reading the list took this slot; rows come when the window has had the time back"
    widget.panel.reading.set_reviewed(names[-1], True)
    assert seen == [len(names) - 1, *range(ROWS_AT_ONCE - 1)], "what has changed comes first, then a part of the rest"
    user.wait_until(lambda: not table._waiting, 10, "the rest of the list")
    assert sorted(set(seen)) == list(range(len(names))) and len(seen) <= len(names) + 1
    assert [line[CASE] for line in user.rows("casesTable")] == names
    assert row(user, len(names) - 1)[DONE] == "yes"
    user.click("todoCheckBox")
    user.wait_until(lambda: not table._waiting, 10, "the others")
    assert [line[CASE] for line in user.rows("casesTable")] == names[:-1]


def test_closing_a_case_removes_its_results_from_the_views_without_an_error(application: Any, scene: Any) -> None:
    """VTK reports a color legend that outlives its color table, and a subject hierarchy item that outlives its node."""
    from REACTKDLib.scene.case import nodes_from_case
    from REACTKDLib.scene.outputs import remove_outputs, write_outputs
    from REACTKDLib.scene.parameter_node import parameter_node_for
    from support.scene_cases import make_case, make_result

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    case = make_case((22, 36, 40), (4.4, 4.6, 6.0))
    nodes = nodes_from_case(scene, case)
    before = tree.GetNumberOfItems()
    for _ in range(2):
        parameter_node = parameter_node_for(scene, nodes)
        write_outputs(scene, parameter_node, make_result(case), nodes.reference, "results")
        assert tree.GetNumberOfItems() > before
        remove_outputs(scene, parameter_node)
        assert tree.GetNumberOfItems() == before, "no empty folder may remain"
    application.assert_no_errors()


def test_problems_of_a_list_are_shown(user: Any, widget: Any, folder: Path, monkeypatch: Any) -> None:
    open_folder(user, monkeypatch, folder / "nowhere")
    assert "no worklist" in user.text("casesMessageLabel")
    (folder / CASES[0] / "CT.nii.gz").write_text("no image")
    (folder / CASES[1] / "segmentation.seg.nrrd").unlink()
    open_folder(user, monkeypatch, folder)
    assert row(user, 1)[CHECKS] == "incomplete"
    user.click("nextCaseButton")
    user.wait_until(lambda: "cannot be opened" in user.text("casesMessageLabel"), GRADE_S, "the reason")
    assert row(user, 0)[CHECKS] == "failed" and widget.panel.context.nodes is None
    assert not user.find("gradeButton").enabled
    user.screenshot("cases-broken")
    user.click("nextCaseButton")
    user.wait_until(lambda: "draw the masks" in user.text("casesMessageLabel"), GRADE_S, "the second case")
    assert volumes() == 3


def test_the_user_is_asked_about_masks_that_cannot_be_saved(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    (folder / "review.reactkd.masks").touch()
    user.click("nextCaseButton")
    user.wait_until(lambda: user.sees("questionWidget"), 30, "the question")
    assert "could not be saved" in user.text("questionLabel") and not user.find("nextCaseButton").enabled
    assert "save the masks elsewhere with Report > Masks..." in user.text("questionLabel")
    user.screenshot("cases-question")
    user.open_section("reportSection")
    assert user.text("saveMasksButton") == "Masks..."
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(folder / "mine.seg.nrrd")))
    user.click("saveMasksButton")
    user.wait_until((folder / "mine.seg.nrrd").exists, 30, "the masks elsewhere, as the question says")
    user.click("stayButton")
    assert not user.sees("questionWidget") and widget.panel.context.state.case_id == CASES[0]
    (folder / "review.reactkd.masks").unlink()
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    assert (folder / "review.reactkd.masks").is_dir()


def test_tables_of_a_list_take_unsaved_edits_into_account(
    user: Any, widget: Any, folder: Path, small_model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    for name in CASES[1:]:
        shutil.rmtree(folder / name)
    choose_model(user, small_model)
    open_folder(user, monkeypatch, folder)
    user.open_section("reportSection")
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    grade(user)

    def table(button: str) -> dict[str, str]:
        path = tmp_path / f"{button}.csv"
        path.unlink(missing_ok=True)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: str(path)))
        user.click(button)
        user.wait_until(path.exists, 30, "the table")
        with open(path, encoding="utf-8", newline="") as stream:
            (line,) = csv.DictReader(stream)
        return line

    assert (table("saveTableButton")["outdated"], table("saveTableButton")["corrected_masks"]) == ("no", "no")
    correct(nodes)
    line = table("saveTableButton")
    assert (line["outdated"], line["corrected_masks"]) == ("yes", "yes")
    grade(user)
    assert table("saveTableButton")["outdated"] == "no"
    user.open_section("readerSection")
    assert table("saveReadersButton")["model_grade"]
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    assert table("saveReadersButton")["model_grade"] == "", "an outdated grade must not be listed"


def test_the_last_case_of_a_list_is_saved_when_it_is_finished(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    for name in CASES[1:]:
        shutil.rmtree(folder / name)
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    saved = folder / "review.reactkd.masks" / f"{CASES[0]}.seg.nrrd"
    user.click("reviewedNextButton")
    assert user.text("casesMessageLabel") == "This is the last case of the list." and not saved.exists()
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    user.click("reviewedNextButton")
    user.wait_until(lambda: "are saved" in user.text("casesMessageLabel"), 30, "the masks to be saved")
    assert user.text("casesMessageLabel") == "This is the last case of the list; its masks are saved."
    first = saved.read_bytes()
    user.click("reviewedCheckBox")
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, (0.0, 0.0, 0.0), 20.0), nodes.reference)
    user.click("reviewedCheckBox")
    reading = widget.panel.reading
    user.wait_until(lambda: not (reading.busy or reading.loader.edited), 30, "the masks to be saved by the box, too")
    assert saved.read_bytes() != first and user.find("reviewedCheckBox").checked


def test_edits_of_an_open_case_are_saved_while_the_reader_goes_on(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(mask_saving, "KEEP_AFTER_S", 0.0)
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    reading, saved = widget.panel.reading, folder / "review.reactkd.masks" / f"{CASES[0]}.seg.nrrd"
    user.wait_until(lambda: not reading.busy, what="an idle list")
    next(section for section in widget.panel.sections if section.ui_file == "CasesPanel.ui").timer.setInterval(20)
    controls = ("nextCaseButton", "reviewedNextButton", "openListButton", "reviewedCheckBox")
    seen = []
    reading.changed.connect(
        lambda: seen.append((*(user.find(name).enabled for name in controls), user.sees("casesMessageLabel")))
    )
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    paint(nodes.segmentation, "Tumor", liver, nodes.reference)
    user.wait_until(lambda: reading.busy, what="the edits to be saved without a click")
    user.wait_until(lambda: not reading.busy, what="the end of the save")
    assert saved.is_file() and len(seen) >= 2 and set(seen) == {(True, True, True, True, False)}, "nothing flickers"
    erase(nodes.segmentation, "Tumor", liver & (np.arange(liver.shape[2]) % 2 == 0), nodes.reference)
    user.wait_until(lambda: reading.busy, what="the next save")
    seen.clear()
    user.click("nextCaseButton")
    assert seen[0] == (False, False, False, False, True), "from then on it is a save before a step"
    at_hand(user, widget, CASES[1])
    assert reading.review.of(CASES[0]).masks["file"].endswith(saved.name)


def test_closing_the_scene_saves_edits(user: Any, widget: Any, folder: Path, monkeypatch: Any) -> None:
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    slicer.mrmlScene.Clear(0)
    user.settle()
    assert user.text("listLabel") == "cohort: 6 cases, 0 reviewed."
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    tumor, liver = (mask_of(nodes.segmentation, name, nodes.reference) for name in ("Tumor", "Liver"))
    assert (tumor & liver).sum() == liver.sum()


def test_reloading_the_module_saves_edits(
    application: Any, user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    widget.onReload()
    user.settle()
    assert (folder / "review.reactkd.masks").is_dir()
    again = application.modules["REACTKD"].widgetRepresentation().self()
    assert again is not widget
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    at_hand(user, again, CASES[0])


def test_closing_the_scene_reports_edits_that_cannot_be_saved(
    user: Any, widget: Any, folder: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    open_folder(user, monkeypatch, folder)
    user.click("nextCaseButton")
    nodes = at_hand(user, widget, CASES[0])
    paint(nodes.segmentation, "Tumor", mask_of(nodes.segmentation, "Liver", nodes.reference), nodes.reference)
    (folder / "review.reactkd.masks").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slicer.mrmlScene.Clear(0)
    user.settle()
    (kept,) = tmp_path.glob("reactkd-masks-*/*.seg.nrrd")
    assert "could not be saved" in user.text("casesMessageLabel") and str(kept) in user.text("casesMessageLabel")


def test_shortcuts_grade_and_step_and_work_only_in_this_module(
    application: Any, user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    choose_model(user, small_model)
    press(user, Qt.Key.Key_M)
    press(user, Qt.Key.Key_1)
    press(user, Qt.Key.Key_D)
    assert not widget.panel.context.busy and widget.panel.reading.cases is None, "without a case they do nothing"
    open_folder(user, monkeypatch, folder)
    application.select_module("SegmentEditor")
    press(user, Qt.Key.Key_N)
    assert widget.panel.reading.index is None and not widget.panel.reading.busy
    application.select_module("REACTKD")
    press(user, Qt.Key.Key_N)
    at_hand(user, widget, CASES[0])

    review = widget.panel.reading.review
    for key, chosen in ((Qt.Key.Key_1, "well"), (Qt.Key.Key_2, "moderate"), (Qt.Key.Key_3, "poor")):
        press(user, key)
        assert review.of(CASES[0]).reader_grade == chosen, "the reader's own"
        assert user.text("readerComboBox").lower() == row(user, 0)[READER].lower() == chosen
    assert widget.panel.context.report is None and row(user, 0)[GRADE] == "", "and not the model's"
    press(user, Qt.Key.Key_M)
    wait_for_grade(user)
    assert row(user, 0)[GRADE] in ("Well", "Moderate", "Poor") and row(user, 0)[READER] == "Poor"
    assert review.of(CASES[0]).reviewed is None
    press(user, Qt.Key.Key_D)
    assert review.of(CASES[0]).reviewed is not None and row(user, 0)[DONE] == "yes"
    at_hand(user, widget, CASES[1])
    assert user.text("readerComboBox") == "not graded" and review.of(CASES[1]).reviewed is None


def test_nothing_is_begun_with_a_case_that_another_one_is_about_to_replace(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    """A grade of it ended without a word, or with an error of removed images, when the next case was there."""
    nodes, context = open_first(user, widget, monkeypatch, folder, small_model, cases=2), widget.panel.context
    user.click("liveCheckBox")
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, center_of_liver(nodes), 9.0), nodes.reference)
    user.wait_until(lambda: widget.panel.reading.edited, what="the edit")
    grade(user)
    lock = ("gradeButton", "checkButton", "splitButton", "saveMasksButton", "recognizeButton", "liverComboBox")
    for name in ("casesSection", "inputsSection", "masksSection", "whySection", "reportSection"):
        user.open_section(name)
    assert all(user.find(name).isEnabled() for name in lock)
    monkeypatch.setattr("REACTKDLib.scene.script_runner.SLICE_S", 0.0)  # one step at a time
    widget.panel.nodes_timer.setInterval(60_000)  # the case opens before the panel looks at removed nodes
    with without_work(user):
        user.click("nextCaseButton")
        for stage in ("saving", "opening", "nodes removed"):
            sentence = f"Saving the masks of {CASES[0]}..." if stage == "saving" else f"Opening {CASES[1]}..."
            while user.text("casesMessageLabel") != sentence or nodes.present is (stage == "nodes removed"):
                widget.panel.reading.work()
                user.settle()
            assert not [name for name in lock if user.find(name).isEnabled()]
            assert user.find("gradeButton").toolTip == sentence
            press(user, Qt.Key.Key_M)
            user.press_shortcut(Qt.Key.Key_N, Qt.KeyboardModifier.AltModifier)
            toggle_box(user, "regionTable", 1)
            assert user.text("whatIfLabel") == sentence
            toggle_box(user, "regionTable", 1)
            user.click_cell("regionTable", 1, 1)
            assert not user.sees("whatIfLabel") and not context.busy
            if stage == "opening":
                live_waits(user, widget, nodes)
    at_hand(user, widget, CASES[1])
    assert all(user.find(name).isEnabled() for name in lock if name != "splitButton")
    assert user.find("gradeButton").toolTip.startswith("Grade the case")


def live_waits(user: Any, widget: Any, nodes: Any) -> None:
    """Edit the masks, and check that no grade begins within the time after which Live grades."""
    live, context = widget.panel.live, widget.panel.context
    live.timer.setInterval(0)
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, center_of_liver(nodes), 12.0), nodes.reference)
    for _ in range(5):
        user.settle()
        time.sleep(0.01)
    assert context.outdated and not context.busy and live.timer.active


def center_of_liver(nodes: Any) -> tuple[float, ...]:
    """The center of the liver in RAS, in mm."""
    grid = grid_of(nodes.reference)
    voxels = np.argwhere(mask_of(nodes.segmentation, "Liver", nodes.reference)).mean(axis=0)[::-1]
    return tuple(grid.ijk_to_ras[:3, :3] @ voxels + grid.ijk_to_ras[:3, 3])


def test_a_list_in_a_folder_that_cannot_be_written_is_read(
    user: Any, widget: Any, folder: Path, monkeypatch: Any
) -> None:
    open_folder(user, monkeypatch, folder)
    panel = next(section for section in widget.panel.sections if section.ui_file == "CasesPanel.ui")
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[0])
    with read_only(folder):
        user.choose("readerComboBox", "Poor")
        assert "cannot be saved beside the list" in user.text("reviewProblemLabel")
        assert row(user, 0)[READER] == "Poor"
    user.screenshot("cases-read-only")
    panel.timer.setInterval(100)  # retries ten times a second instead of every two seconds
    user.wait_until(lambda: not user.sees("reviewProblemLabel"), 10, "the next try")
    told = json.loads((folder / "review.reactkd.json").read_text(encoding="utf-8"))
    assert told["cases"][CASES[0]]["reader"]["grade"] == "poor"


def test_a_batch_reports_a_broken_case_and_can_be_stopped(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any, worker: Any
) -> None:
    choose_model(user, small_model)
    for name in CASES[4:]:
        shutil.rmtree(folder / name)
    (folder / CASES[1] / "CT.nii.gz").write_text("no image")
    user.toggle_section("reportSection")
    assert not user.find("batchButton").enabled
    open_folder(user, monkeypatch, folder)
    user.click("batchButton")
    assert user.find("cancelBatchButton").enabled and not user.find("batchButton").enabled
    user.wait_until(lambda: row(user, 0)[GRADE], GRADE_S, "the first grade")
    with worker.answers_unread():
        user.screenshot("batch-running")
        user.click("cancelBatchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, 1.5, "the stop")
    assert "stopped" in user.text("batchLabel")
    assert row(user, 3)[GRADE] == ""
    user.click("batchButton")
    user.wait_until(lambda: user.find("batchButton").enabled, GRADE_S, "the end")
    assert "1 failed" in user.text("batchLabel")
    assert [bool(line[GRADE]) for line in user.rows("casesTable")] == [True, False, True, True]
    assert row(user, 1)[CHECKS] == "failed"
    user.screenshot("batch-done")
    with open(folder / "review.reactkd.results" / "results.csv", encoding="utf-8", newline="") as stream:
        told = {line["case"]: line for line in csv.DictReader(stream)}
    assert told[CASES[1]]["error"] == "not-an-image" and told[CASES[0]]["grade"]
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[0])


def test_a_result_of_edited_images_is_reported_and_not_kept_with_the_list(
    user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any
) -> None:
    choose_model(user, small_model)
    open_folder(user, monkeypatch, folder)
    press(user, Qt.Key.Key_N)
    nodes = at_hand(user, widget, CASES[0])
    ct = nodes.volumes[Modality.CT]
    slicer.util.arrayFromVolume(ct)[:] += 10
    slicer.util.arrayFromVolumeModified(ct)
    grade(user)
    assert "not kept with the list" in user.text("stateLabel")
    assert row(user, 0)[GRADE] == "" and not list(folder.rglob(f"{CASES[0]}*.json"))
