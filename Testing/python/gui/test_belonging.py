"""What the panel shows belongs to the current case, masks and model, or is marked as outdated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from REACTKDLib.core.modality import Modality
from support.edits import ball, paint
from support.panel_steps import (
    CASES,
    GRADE_S,
    at_hand,
    choose_model,
    grade,
    open_first,
    small_phantom,
    toggle_box,
    wait_for_annotations,
    wait_for_grade,
)
from support.small_models import write_small_model
from support.worlds import linear_transform, rigid

CHANGED = "have changed since this grade"
OTHER_MODEL = "This grade is of another model than the one that is chosen"
SELECTORS = {"ctSelector": Modality.CT, "fdgSelector": Modality.FDG, "acetateSelector": Modality.ACETATE}


def start_and_cancel(user: Any, worker: Any) -> None:
    """Press Grade, then Cancel before there is an answer."""
    with worker.answers_unread():
        user.click("gradeButton")
        user.click("cancelButton")
    user.wait_until(lambda: user.find("gradeButton").enabled, what="the end")


def choose_by_hand(user: Any, case: Any) -> None:
    """Select the images and the masks of a case one by one."""
    user.open_section("inputsSection")
    for name, modality in SELECTORS.items():
        user.choose(name, case.volumes[modality])
    user.choose("segmentationSelector", case.segmentation)


def edit(user: Any, case: Any, context: Any) -> None:
    """Paint a lesion into the parenchyma, and wait until the panel has noticed it."""
    place = context.report.regions[0].centroid_ras_mm
    paint(case.segmentation, "Tumor", ball(case.reference, place, 9.0), case.reference)
    user.wait_until(lambda: context.outdated, what="the edit to be seen")


@pytest.fixture
def second(scene: Any) -> Any:
    """A function that loads a second patient into the scene."""
    from REACTKDLib.scene.case import nodes_from_case

    return lambda: nodes_from_case(scene, small_phantom(9))


@pytest.fixture
def listed(user: Any, widget: Any, folder: Path, small_model: Path, monkeypatch: Any) -> Any:
    """The first of two listed cases, opened."""
    return open_first(user, widget, monkeypatch, folder, small_model, cases=2)


def test_after_a_canceled_grade_with_another_model_the_next_one_is_by_that_model(
    user: Any, nodes: Any, context: Any, worker: Any, tmp_path: Path
) -> None:
    grade(user)
    first, other = context.state.model, write_small_model(tmp_path / "other", seed=1)
    choose_model(user, other)
    assert OTHER_MODEL in user.text("stateLabel"), "or the result would be taken for that of the chosen model"
    start_and_cancel(user, worker)
    assert context.other_model, "the result of the first model must be shown again"
    assert OTHER_MODEL in user.text("stateLabel")
    user.type("modelPathEdit", first, paste=True)
    assert not user.sees("stateLabel")
    user.type("modelPathEdit", str(other), paste=True)
    user.click("gradeButton")
    wait_for_grade(user)
    assert not context.other_model and not user.sees("stateLabel")


def test_after_a_canceled_grade_of_other_segments_the_next_one_is_of_those_segments(
    user: Any, nodes: Any, context: Any, worker: Any
) -> None:
    grade(user)
    user.open_section("inputsSection")
    user.check("tumorList", "Tumor", on=False)
    start_and_cancel(user, worker)
    assert CHANGED in user.text("stateLabel")
    user.click("gradeButton")
    wait_for_grade(user)
    assert context.report.grade is None and not context.outdated


def test_a_restored_result_is_compared_with_the_graded_masks(user: Any, nodes: Any, context: Any) -> None:
    grade(user)
    user.open_section("inputsSection")
    user.choose("segmentationSelector", None)
    assert not user.sees("gradeLabel")
    user.choose("segmentationSelector", nodes.segmentation)
    assert user.sees("gradeLabel") and not user.sees("stateLabel")
    edit(user, nodes, context)
    user.choose("segmentationSelector", None)
    user.choose("segmentationSelector", nodes.segmentation)
    assert user.sees("gradeLabel") and CHANGED in user.text("stateLabel")
    toggle_box(user, "regionTable", 1)
    assert "grade again before" in user.text("whatIfLabel") and "%" not in user.text("whatIfLabel")
    assert context.controller.what_if_answer is None and context.outdated and CHANGED in user.text("stateLabel")


def test_findings_of_the_former_masks_are_marked_until_those_of_the_edited_ones_are_there(
    user: Any, nodes: Any, context: Any, worker: Any
) -> None:
    """While the edited masks were graded, the checks had 'found nothing wrong' with them."""
    mark, labels = "Before the last change:", [user.find(name) for name in ("masksSummaryLabel", "inputsWarningLabel")]

    def marked() -> list[bool]:
        return [label.text.startswith(mark) for label in labels]

    grade(user)
    edit(user, nodes, context)
    user.wait_until(lambda: all(marked()), what="the marks")
    with worker.answers_unread() as unread:
        user.click("gradeButton")
        user.wait_until(lambda: unread, GRADE_S, "the worker's answer")
        assert all(marked())
    wait_for_grade(user)
    assert not any(marked())


@pytest.mark.parametrize("what", ["a PET is moved", "the masks are moved", "a CT is hardened", "voxels change"])
def test_changed_images_and_masks_make_the_result_outdated_and_live_updates_it(
    user: Any, nodes: Any, context: Any, scene: Any, what: str
) -> None:
    """Their position counts as much as their voxels."""
    node = {"a PET is moved": nodes.volumes[Modality.FDG], "the masks are moved": nodes.segmentation}.get(
        what, nodes.reference
    )
    move = linear_transform(scene, rigid((0, 0, 0), (0, 0, 0)))
    node.SetAndObserveTransformNodeID(move.GetID())
    grade(user)
    user.settle()
    assert not context.outdated and not user.sees("stateLabel")
    if what == "voxels change":
        slicer.util.arrayFromVolume(node)[:] += 1
        slicer.util.arrayFromVolumeModified(node)
    else:
        move.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rigid((0, 0, 0), (3, 0, 0))))
    if what == "a CT is hardened":
        node.HardenTransform()
    user.wait_until(
        lambda: user.sees("stateLabel") and CHANGED in user.text("stateLabel"), what="the change to be told"
    )
    first = context.report
    user.click("liveCheckBox")
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    assert not context.outdated


def test_the_result_follows_the_transform_of_its_images(user: Any, nodes: Any, context: Any, scene: Any) -> None:
    """A case that is moved as a whole keeps its answer, which moves with it: regions, map, graph and names."""

    def name_in_3d() -> np.ndarray:
        names = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        shown = next(node for node in names if node.GetAttribute("REACTKD.LesionNames") == "3D")
        return np.array(shown.GetNthControlPointPositionWorld(0))

    grade(user)
    wait_for_annotations(user)
    before = name_in_3d()
    move = linear_transform(scene, rigid((0, 0, 0), (30, 0, 0)))
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(move.GetID())
    outputs = context.outputs
    drawn = (outputs.regions, outputs.liver_outline, outputs.heat_map, outputs.graph_nodes, outputs.graph_edges)
    user.wait_until(
        lambda: all(node.GetTransformNodeID() == move.GetID() for node in drawn), what="the answer to follow"
    )
    wait_for_annotations(user)
    assert not context.outdated and not user.sees("stateLabel")
    assert np.allclose(name_in_3d(), before + (30, 0, 0), atol=0.1)
    move.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rigid((0, 0, 0), (0, 20, 0))))
    user.wait_until(lambda: np.allclose(name_in_3d(), before + (0, 20, 0), atol=0.1), what="the names to follow")
    nodes.reference.HardenTransform()
    user.wait_until(lambda: context.outdated, what="the change to be seen")
    assert all(node.GetTransformNodeID() == move.GetID() for node in drawn), "still over the image"


def test_the_review_does_not_record_a_restored_result_for_the_edited_masks(
    user: Any, widget: Any, context: Any, listed: Any
) -> None:
    grade(user)
    edit(user, listed, context)
    user.open_section("inputsSection")
    user.choose("segmentationSelector", None)
    user.choose("segmentationSelector", listed.segmentation)
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    assert context.reading.review.whole(CASES[0]).answer["outdated"]
    assert "(old masks)" in user.rows("casesTable")[0][1]


def test_a_stored_result_is_removed_with_its_images_and_compared_with_the_segments(
    user: Any, widget: Any, context: Any, listed: Any, second: Any
) -> None:
    grade(user)
    user.click("nextCaseButton")
    at_hand(user, widget, CASES[1])
    user.click("previousCaseButton")
    at_hand(user, widget, CASES[0])
    assert context.shows_stored and "since" not in user.text("stateLabel")
    user.open_section("inputsSection")
    user.check("tumorList", "Tumor", on=False)
    assert "since then the masks changed" in user.text("stateLabel")
    choose_by_hand(user, second())
    assert not user.sees("gradeLabel") and user.text("stateLabel") == "Ready to grade."


def test_in_a_study_the_result_stays_hidden_when_an_image_is_deselected(
    user: Any, widget: Any, context: Any, listed: Any
) -> None:
    user.open_section("readerSection")
    user.click("studyCheckBox")
    user.click("nextCaseButton")
    user.wait_until(lambda: context.answer_hidden, what="the next case")
    user.open_section("inputsSection")
    user.choose("acetateSelector", None)
    assert context.answer_hidden and "the result is hidden" in user.text("stateLabel")
    assert user.text("gradeButton") == "Confirm grade, show result" and not user.find("gradeButton").enabled


def test_deselected_masks_stay_deselected(user: Any, widget: Any, context: Any, listed: Any) -> None:
    """Their node was loaded with the case a moment ago: it is not selected again as if it were still missing."""
    user.open_section("inputsSection")
    user.choose("segmentationSelector", None)
    timer = widget.panel.nodes_timer
    timer.start()  # as when other work has delayed the check for new nodes until now
    user.wait_until(lambda: not timer.active, what="the look at nodes that came")
    assert context.state.segmentation is None and user.sees("segmentationSelector")


def test_reader_marks_belong_to_the_case_of_the_list_and_not_to_other_images(
    user: Any, context: Any, listed: Any, second: Any
) -> None:
    """Without one image it is still that case; images of another patient cannot be marked as this case."""
    review = context.reading.review
    user.open_section("readerSection")
    QTest.keyClicks(user.find("commentEdit"), "seen twice")
    user.open_section("inputsSection")
    user.choose("acetateSelector", None)
    user.choose("readerComboBox", "Poor")
    assert review.of(CASES[0]).reader_grade == "poor"
    choose_by_hand(user, second())
    assert not user.sees("readerWidget") and not user.sees("readerCaseWidget")
    assert review.of(CASES[0]).comment["text"] == "seen twice", "what was typed is kept"
    user.press_shortcut(Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert review.of(CASES[0]).reader_grade == "poor", "a shortcut must not set it either"
    choose_by_hand(user, listed)
    assert user.find("readerComboBox").currentText == "Poor" and user.sees("readerCaseWidget")


def test_manually_chosen_images_have_neither_name_nor_message_of_the_list(
    user: Any, context: Any, listed: Any, second: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    names = []

    def choose_file(*arguments: Any) -> str:
        names.append(Path(arguments[2]).name)
        return str(tmp_path / names[-1])

    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(choose_file))
    user.choose("readerComboBox", "Poor")
    user.open_section("readerSection")
    QTest.keyClicks(user.find("commentEdit"), "seen twice")
    choose_by_hand(user, second())
    grade(user)
    user.open_section("reportSection")
    user.click("savePageButton")
    page = (tmp_path / names[-1]).read_text(encoding="utf-8")
    assert CASES[0] not in page and "seen twice" not in page and '<p class="reader">' not in page
    user.click("saveMasksButton")
    assert [name.partition(".")[0] for name in names] == ["reactkd", "reactkd"]
    choose_by_hand(user, listed)
    grade(user)
    assert context.report.case == CASES[0], "the case of the list again"
