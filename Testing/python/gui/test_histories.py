"""The undo of the scene and of the Segment Editor beside the panel: its result, its proposal, and its own undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer

from REACTKDLib.core.student.bundle import WEIGHTS
from support.edits import erase, mask_of, paint
from support.panel_steps import GRADE_S, choose_model, grade, panel_of, toggle_box, wait_for_grade
from support.scene_files import load_scene, save_scene
from support.small_models import write_small_model

CHANGED = "Masks or inputs have changed since this grade. Grade again to update it."


def editor_history(nodes: Any) -> Any:
    """The history of the Segment Editor, in which each of its effects saves the state before a stroke."""
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(nodes.segmentation.GetSegmentation())
    return history


def stray(nodes: Any) -> np.ndarray:
    """A corner of the image, far from the liver."""
    where = np.zeros(mask_of(nodes.segmentation, "Tumor", nodes.reference).shape, bool)
    where[2:5, 4:9, 4:9] = True
    return where


def test_a_fix_that_the_segment_editor_takes_back_is_not_offered_to_be_undone(
    user: Any, nodes: Any, context: Any
) -> None:
    paint(nodes.segmentation, "Tumor", stray(nodes), nodes.reference)
    user.open_section("masksSection")
    user.click("splitButton")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    history = editor_history(nodes)
    history.SaveState()
    user.click("acceptButton")
    assert user.sees("undoFixButton") and len(context.choice.tumors) > 1
    history.RestorePreviousState()
    user.wait_until(lambda: not user.sees("undoFixButton"), what="the undo to be noticed")
    assert context.choice.tumors == ("Tumor",)
    history.SetSegmentation(None)


def test_a_result_is_outdated_after_an_undo_until_it_is_graded_again(
    user: Any, nodes: Any, context: Any, worker: Any
) -> None:
    context.state.live = False
    history = editor_history(nodes)
    grade(user)
    first = context.report
    history.SaveState()
    paint(
        nodes.segmentation,
        "Tumor",
        np.roll(mask_of(nodes.segmentation, "Tumor", nodes.reference), 4, axis=2),
        nodes.reference,
    )
    user.wait_until(lambda: user.find("stateLabel").text == CHANGED, what="the stroke to be noticed")
    grade(user)
    second = context.report
    assert second.probabilities != first.probabilities
    history.RestorePreviousState()
    user.wait_until(lambda: user.find("stateLabel").text == CHANGED, what="the undo to be noticed")
    grade(user)
    assert context.report.probabilities == first.probabilities and user.find("stateLabel").text == ""

    # while it is graded
    with worker.answers_unread():
        user.click("gradeButton")
        assert context.busy
        history.RestoreNextState()
    wait_for_grade(user)
    graded = context.report.probabilities
    assert context.outdated is (graded == first.probabilities)
    history.SetSegmentation(None)


def test_a_result_is_current_again_after_an_undo_to_its_masks(user: Any, nodes: Any, context: Any) -> None:
    """Stamps of masks are times, so the panel asked for another grade of the same masks."""
    context.state.live = False
    history = editor_history(nodes)
    grade(user)
    report = context.report
    history.SaveState()
    paint(nodes.segmentation, "Tumor", stray(nodes), nodes.reference)
    user.wait_until(lambda: user.find("stateLabel").text == CHANGED, what="the stroke to be noticed")
    history.RestorePreviousState()
    user.wait_until(lambda: user.find("stateLabel").text == "", what="the undo to be noticed")
    assert context.report is report and not context.outdated
    history.SetSegmentation(None)


def erase_all(nodes: Any) -> None:
    """Erase liver and tumor."""
    for name in ("Liver", "Tumor"):
        erase(nodes.segmentation, name, mask_of(nodes.segmentation, name, nodes.reference), nodes.reference)


def test_the_reason_why_masks_were_refused_goes_with_those_masks(user: Any, nodes: Any, context: Any) -> None:
    """After the undo, the section Grade said of masks with a liver, and of their valid result, that the liver is empty;
    so did the section Masks.
    """
    empty = "The liver segment is empty"
    history = editor_history(nodes)
    history.SaveState()
    erase_all(nodes)
    grade_button, state = user.find("gradeButton"), user.find("stateLabel")
    user.click("gradeButton")
    user.wait_until(lambda: empty in state.text and grade_button.enabled, GRADE_S, "the refusal of the first grade")
    nodes.segmentation.Modified()  # no edit, as when its display is changed
    user.wait_until(lambda: not panel_of(user).live.timer.active, what="the look at the masks")
    assert empty in state.text
    history.RestorePreviousState()
    user.wait_until(lambda: state.text == "Ready to grade.", what="the undo to be noticed")

    grade(user)
    user.open_section("masksSection")
    user.click("liveCheckBox")
    history.SaveState()
    erase_all(nodes)
    user.wait_until(lambda: empty in state.text and grade_button.enabled, GRADE_S, "the refusal of the live grade")
    user.click("liveCheckBox")
    user.click("checkButton")
    user.wait_until(lambda: empty in user.find("masksMessageLabel").text, GRADE_S, "the refusal of the check")
    history.RestorePreviousState()
    user.wait_until(lambda: state.text == "", what="the undo to be noticed")
    assert not context.outdated and not user.sees("masksMessageLabel")
    history.SetSegmentation(None)


def test_a_refused_what_if_is_forgotten_once_the_edit_is_undone(
    user: Any, nodes: Any, context: Any, scene: Any, tmp_path: Path
) -> None:
    """A restored result must be of the current masks, since the worker reads them again."""
    grade(user)
    save_scene(scene, tmp_path / "graded.mrb")
    load_scene(scene, tmp_path / "graded.mrb")
    history, label = editor_history(context.nodes), user.find("stateLabel")
    history.SaveState()
    paint(context.nodes.segmentation, "Tumor", stray(context.nodes), context.nodes.reference)
    user.wait_until(lambda: label.text == CHANGED, what="the stroke to be noticed")
    toggle_box(user, "regionTable", 1)
    assert "grade again before" in user.text("whatIfLabel")
    history.RestorePreviousState()
    user.wait_until(lambda: label.text == "", what="the undo to be noticed")
    assert not user.sees("whatIfLabel") and not user.find("everythingButton").enabled, "all boxes are checked again"
    history.SetSegmentation(None)


def test_the_fault_of_a_model_goes_with_the_choice_of_that_model(user: Any, nodes: Any, tmp_path: Path) -> None:
    """Of a sound model that was chosen next, the section Grade said that it was altered."""
    faulty, sound = (write_small_model(tmp_path / name) for name in ("faulty", "sound"))
    with open(faulty / WEIGHTS, "ab") as file:
        file.write(b"more")
    state = user.find("stateLabel")
    choose_model(user, faulty)
    user.click("gradeButton")
    user.wait_until(lambda: "model" in state.text and user.find("gradeButton").enabled, GRADE_S, "the refusal")
    fault = state.text
    assert fault != "Ready to grade."
    user.type("modelPathEdit", str(faulty), paste=True)
    assert state.text == fault, "the same model"
    user.type("modelPathEdit", str(sound), paste=True)
    assert state.text == "Ready to grade."
