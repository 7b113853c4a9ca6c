"""Section Masks: faults are found, shown, and corrected on a copy that the user accepts, rejects or undoes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.reading_layout import THREE_D
from support.edits import ball, erase, mask_of, paint
from support.panel_steps import GRADE_S, grade, segments_as_bytes, small_phantom
from support.scene_files import load_scene, save_scene

STRAY = "lies outside the liver"


@pytest.fixture
def faulty(nodes: Any) -> Any:
    """The phantom with a stray lesion far from the liver and a hole in the liver."""
    liver = mask_of(nodes.segmentation, "Liver", nodes.reference)
    free = ~(liver | mask_of(nodes.segmentation, "Tumor", nodes.reference))
    far = np.zeros_like(liver)
    far[2:5, 4:9, 4:9] = True
    assert free[far].all()
    paint(nodes.segmentation, "Tumor", far, nodes.reference)
    return nodes


def check(user: Any) -> None:
    """Press the check button and wait for the findings."""
    user.open_section("masksSection")
    user.click("checkButton")
    user.wait_until(lambda: user.find("checkButton").enabled, GRADE_S, "the check")


def stray_row(user: Any) -> int:
    """The row that reports the stray lesion."""
    rows = range(len(user.find("findingsWidget").children()) - 1)
    return next(row for row in rows if STRAY in user.text(f"findingLabel{row}"))


def center_of_views() -> np.ndarray:
    """The intersection of the slices, mm RAS."""
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    return slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())[:3, 3]


def camera() -> list[float]:
    """Where the camera of the module's 3D view is, and its focal point, mm RAS."""
    node = next(n for n in slicer.util.getNodesByClass("vtkMRMLCameraNode") if n.GetLayoutName() == THREE_D)
    return [*node.GetPosition(), *node.GetFocalPoint()]


def test_masks_are_checked_before_anything_is_graded(user: Any, faulty: Any, widget: Any) -> None:
    there = slicer.mrmlScene.GetNumberOfNodes()
    check(user)
    user.open_section("masksSection")
    assert user.text("masksSummaryLabel") == "Please look at these:"
    assert not user.sees("gradeLabel") and slicer.mrmlScene.GetNumberOfNodes() == there
    user.screenshot("masks-checked")
    row = stray_row(user)
    before = center_of_views()
    user.click(f"findingShowButton{row}")
    assert np.linalg.norm(center_of_views() - before) > 20

    from REACTKDLib.gui.findings import is_of_masks

    # also when the list is rebuilt several times before Qt has deleted the old rows
    section = next(part for part in widget.panel.sections if part.ui_file == "MasksPanel.ui")
    shown = tuple(finding for finding in widget.panel.context.findings if is_of_masks(finding))
    for _ in range(3):
        section._list(shown)
    rows = [row for row in user.find("findingsWidget").children() if row.isWidgetType()]
    assert len(rows) == len(shown) >= 1  # before any event is processed, none of the old rows is left
    user.settle()
    places = sorted((row.geometry.top(), row.geometry.bottom()) for row in rows)
    assert all(bottom < top for (_, bottom), (top, _) in zip(places, places[1:]))


def test_a_check_reports_the_images_too(user: Any, nodes: Any, context: Any) -> None:
    """Before there is a grade, and instead of the findings of an earlier one."""
    coarse = "The CT has pixels of 3.3 mm"
    user.open_section("masksSection")
    check(user)
    assert context.report is None and coarse in user.text("inputsWarningLabel")
    user.toggle_section("masksSection")
    grade(user)
    assert coarse in user.text("inputsWarningLabel"), "of the grade"
    fdg = nodes.volumes[Modality.FDG]
    fdg.SetOrigin(*(place + 60 * (axis == 1) for axis, place in enumerate(fdg.GetOrigin())))
    user.open_section("masksSection")
    check(user)
    assert {finding.code for finding in context.findings} >= {"pet-shifted", "coarse-pixels"}
    assert coarse in user.text("inputsWarningLabel") and "FDG PET seems to be shifted" in user.text(
        "inputsWarningLabel"
    )
    user.click("showChoicesButton")
    user.choose("acetateSelector", None)
    assert "FDG PET seems to be shifted" not in user.text("inputsWarningLabel"), "another case"


def test_an_edit_makes_the_check_outdated(user: Any, faulty: Any) -> None:
    check(user)
    user.open_section("masksSection")
    assert user.text("masksSummaryLabel") == "Please look at these:"
    far = ball(faulty.reference, center_of_views(), 8.0)
    paint(faulty.segmentation, "Tumor", far, faulty.reference)
    user.wait_until(lambda: user.text("masksSummaryLabel") == "Before the last change:", what="the edit to be told")
    check(user)
    user.open_section("masksSection")
    assert user.text("masksSummaryLabel") == "Please look at these:"


def test_a_moved_image_or_an_edit_makes_the_findings_of_both_sections_outdated(user: Any, faulty: Any) -> None:
    """Section Inputs said without a mark that a PET is shifted, after it was moved back."""
    fdg, before = faulty.volumes[Modality.FDG], "Before the last change:"
    place = fdg.GetOrigin()
    fdg.SetOrigin(place[0], place[1] + 60, place[2])
    check(user)
    shifted = "FDG PET seems to be shifted"
    assert shifted in user.text("inputsWarningLabel") and before not in user.text("inputsWarningLabel")

    fdg.SetOrigin(*place)
    user.open_section("masksSection")
    user.wait_until(lambda: user.text("masksSummaryLabel") == before, what="the move to be told")
    heading, *findings = user.text("inputsWarningLabel").split("\n")
    assert heading == before and any(shifted in finding for finding in findings)
    user.screenshot("inputs-outdated")
    check(user)
    assert shifted not in user.text("inputsWarningLabel") and before not in user.text("inputsWarningLabel")

    user.open_section("masksSection")
    paint(faulty.segmentation, "Tumor", ball(faulty.reference, center_of_views(), 8.0), faulty.reference)
    user.wait_until(lambda: user.text("masksSummaryLabel") == before, what="the edit to be told")
    assert user.text("inputsWarningLabel").startswith(before)


def test_copies_of_a_proposed_fix_are_offered_in_no_selector(user: Any, scene: Any, faulty: Any) -> None:
    """Chosen as masks, a copy would be graded and then removed with the proposal."""
    check(user)
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")}
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    user.click("beforeButton")
    made = [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if n.GetID() not in before]
    assert len(made) == 3, "the proposal, the masks before, the highlight"
    selector = user.find("segmentationSelector")
    assert [n for n in made if n in [selector.nodeFromIndex(i) for i in range(selector.nodeCount())]] == []
    assert all(node.GetHideFromEditors() and node.GetDisplayNode() is not None for node in made)
    user.click("rejectButton")


def test_a_fix_is_a_copy_until_it_is_accepted_can_be_undone_and_goes_with_the_scene(
    user: Any, scene: Any, faulty: Any
) -> None:
    check(user)
    before, there = segments_as_bytes(faulty.segmentation), scene.GetNumberOfNodes()
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    assert "Erase this lesion" in user.text("proposalLabel") and "untouched" in user.text("proposalLabel")
    user.screenshot("masks-proposal", of="window")
    assert segments_as_bytes(faulty.segmentation) == before
    user.click("rejectButton")
    assert segments_as_bytes(faulty.segmentation) == before and scene.GetNumberOfNodes() == there
    assert not user.sees("proposalWidget") and not user.sees("undoFixButton")

    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    user.click("acceptButton")
    assert not mask_of(faulty.segmentation, "Tumor", faulty.reference)[2:5, 4:9, 4:9].any()
    check(user)
    assert not user.sees("findingsWidget") or all(
        STRAY not in user.text(f"findingLabel{n}") for n in range(len(user.find("findingsWidget").children()) - 1)
    )
    user.click("undoFixButton")
    assert mask_of(faulty.segmentation, "Tumor", faulty.reference)[2:5, 4:9, 4:9].all()

    check(user)
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    scene.Clear(0)
    user.settle()
    assert not user.sees("proposalWidget") and not user.sees("findingsWidget")


def test_an_undecided_proposal_is_not_removed_silently(user: Any, faulty: Any, context: Any) -> None:
    gone = "The proposal was not accepted and is gone; press Fix again."

    def propose(button: str) -> None:
        user.click(button)
        user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")

    check(user)
    before = segments_as_bytes(faulty.segmentation)
    propose(f"findingFixButton{stray_row(user)}")
    assert not user.sees("masksMessageLabel")
    propose("splitButton")
    assert user.sees("masksMessageLabel") and user.text("masksMessageLabel") == gone
    user.screenshot("masks-proposal-gone")
    assert segments_as_bytes(faulty.segmentation) == before
    user.click("rejectButton")
    assert not user.sees("masksMessageLabel"), "this one was decided"
    propose(f"findingFixButton{stray_row(user)}")
    context.close_case()
    assert "the case before was not accepted and is gone" in user.text("masksMessageLabel")
    assert not user.sees("proposalWidget")


@pytest.mark.parametrize("way", ["button", "reloadScriptedModule"])
def test_a_reload_says_that_it_dropped_an_undecided_proposal(user: Any, faulty: Any, widget: Any, way: str) -> None:
    def reload() -> None:
        panel = user.application.modules["REACTKD"].widgetRepresentation().self()
        panel.onReload() if way == "button" else slicer.util.reloadScriptedModule("REACTKD")
        user.settle()

    check(user)
    before = segments_as_bytes(faulty.segmentation)
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    reload()
    assert not user.sees("proposalWidget") and segments_as_bytes(faulty.segmentation) == before
    assert user.text("masksMessageLabel") == "The proposal was not accepted and is gone; press Fix again."
    user.screenshot("masks-after-reload")
    reload()
    assert not user.sees("masksMessageLabel"), "it was said"


def test_a_fix_of_a_segment_that_was_deleted_is_refused_with_a_sentence(user: Any, faulty: Any) -> None:
    check(user)
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    data, history = faulty.segmentation.GetSegmentation(), slicer.vtkSegmentationHistory()
    history.SetSegmentation(data)
    history.SaveState()
    data.RemoveSegment(data.GetSegmentIdBySegmentName("Tumor"))
    user.settle()
    user.click("acceptButton")
    assert "is gone; reject the fix" in user.text("masksMessageLabel") and user.sees("proposalWidget")
    history.RestorePreviousState()
    user.wait_until(lambda: not user.sees("masksMessageLabel"), what="the segment to be seen again")
    history.SetSegmentation(None)
    data.RemoveSegment(data.GetSegmentIdBySegmentName("Tumor"))
    user.click("acceptButton")
    user.click("rejectButton")
    assert not user.sees("proposalWidget") and not user.sees("masksMessageLabel")


def test_an_accepted_fix_can_be_undone_after_another_case_and_without_recognized_names(
    user: Any, faulty: Any, scene: Any, context: Any
) -> None:
    check(user)
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    user.click("acceptButton")
    context.open_case(nodes_from_case(scene, small_phantom(2)))
    assert not user.find("undoFixButton").visible, "the fix is not of this case"
    context.open_case(faulty)
    data = faulty.segmentation.GetSegmentation()
    data.GetSegment(data.GetSegmentIdBySegmentName("Liver")).SetName("Unknown")
    data.GetSegment(data.GetSegmentIdBySegmentName("Unknown")).RemoveTag("TerminologyEntry")
    user.wait_until(lambda: context.nodes is None, what="the name to be seen")
    user.open_section("masksSection")
    user.click("undoFixButton")
    assert mask_of(faulty.segmentation, "Tumor", faulty.reference)[2:5, 4:9, 4:9].all()
    assert not user.sees("undoFixButton")


def test_in_another_module_the_users_masks_are_shown_and_the_proposal_is_hidden(
    user: Any, faulty: Any, application: Any, scene: Any, tmp_path: Path
) -> None:
    check(user)
    own = shown_segmentations()
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    proposed = shown_segmentations()
    assert own == {faulty.segmentation.GetName()} and len(proposed) == 2 and not own & proposed
    application.select_module("SegmentEditor")
    assert shown_segmentations() == own
    application.select_module("REACTKD")
    assert shown_segmentations() == proposed
    user.click("beforeButton")
    before = shown_segmentations()
    application.select_module("SegmentEditor")
    assert shown_segmentations() == own
    application.select_module("REACTKD")
    assert shown_segmentations() == before != proposed
    save_scene(scene, tmp_path / "proposed.mrb")
    assert shown_segmentations() == before
    user.click("rejectButton")
    assert shown_segmentations() == own
    load_scene(scene, tmp_path / "proposed.mrb")
    assert shown_segmentations() == own


def test_a_proposal_says_that_its_copy_lacks_later_edits_and_keeps_them(
    user: Any, faulty: Any, application: Any
) -> None:
    """The views show the copy: a stroke that was just drawn in the Segment Editor seemed to be lost."""
    check(user)
    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    proposed = user.text("proposalLabel")
    user.click("beforeButton")
    user.click("beforeButton")
    application.select_module("SegmentEditor")
    application.select_module("REACTKD")
    assert user.text("proposalLabel") == proposed, "nothing was drawn"
    application.select_module("SegmentEditor")
    free = mask_of(faulty.segmentation, "Liver", faulty.reference)
    free &= ~mask_of(faulty.segmentation, "Tumor", faulty.reference)
    place = tuple(np.argwhere(free)[0])
    stroke = np.zeros_like(free)
    stroke[place] = True
    paint(faulty.segmentation, "Tumor", stroke, faulty.reference)
    application.select_module("REACTKD")
    lacks = "You have edited the masks since; the copy may lack these edits. Accepting keeps them."
    user.wait_until(lambda: user.text("proposalLabel") == f"{proposed} {lacks}", what="the sentence")
    user.screenshot("masks-edited-since")
    user.click("acceptButton")
    tumor = mask_of(faulty.segmentation, "Tumor", faulty.reference)
    assert tumor[place] and not tumor[2:5, 4:9, 4:9].any()


def test_a_proposal_that_is_ready_in_another_module_is_shown_on_return(
    user: Any, faulty: Any, application: Any, widget: Any
) -> None:
    check(user)
    own = shown_segmentations()
    user.click(f"findingFixButton{stray_row(user)}")
    application.select_module("SegmentEditor")
    masks = next(section for section in widget.panel.sections if section.ui_file == "MasksPanel.ui")
    user.wait_until(lambda: masks.fixer.proposal is not None, GRADE_S, "the proposal")
    assert shown_segmentations() == own
    application.select_module("REACTKD")
    assert user.sees("proposalWidget") and not own & shown_segmentations()


def shown_segmentations() -> set[str]:
    """Names of all visible segmentations, except outlines over a PET, which come and go with the views."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    shown = {node.GetName() for node in nodes if node.GetDisplayNode() and node.GetDisplayNode().GetVisibility()}
    return {name for name in shown if "over a PET" not in name}


def press(user: Any, key: Any) -> None:
    """Press a key together with Alt, wherever the focus is."""
    user.press_shortcut(key, Qt.KeyboardModifier.AltModifier)


def test_findings_and_proposals_are_decided_by_shortcuts(user: Any, scene: Any, faulty: Any, application: Any) -> None:
    liver = mask_of(faulty.segmentation, "Liver", faulty.reference)
    k, j, i = np.argwhere(liver & ~mask_of(faulty.segmentation, "Tumor", faulty.reference)).mean(axis=0).astype(int)
    hole = np.zeros_like(liver)
    hole[k : k + 3, j : j + 3, i : i + 3] = True
    erase(faulty.segmentation, "Liver", hole & liver, faulty.reference)
    check(user)
    for name, key in (("nextFindingButton", "Alt+N"), ("acceptButton", "Alt+A"), ("rejectButton", "Alt+R")):
        assert user.find(name).toolTip.endswith(f"Key: {key}")
    press(user, Qt.Key.Key_N)
    first, count = center_of_views(), len(user.find("findingsWidget").children()) - 1
    assert count >= 2 and user.find("findingLabel0").styleSheet == "font-weight: bold"
    press(user, Qt.Key.Key_N)
    assert np.linalg.norm(center_of_views() - first) > 5 and user.find("findingLabel0").styleSheet == ""
    before, there, place = segments_as_bytes(faulty.segmentation), scene.GetNumberOfNodes(), center_of_views()
    seen = camera()
    press(user, Qt.Key.Key_A)  # nothing is proposed yet
    assert segments_as_bytes(faulty.segmentation) == before

    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    assert "hollow orange" in user.text("proposalLegendLabel") and "removed" in user.text("proposalLegendLabel")
    assert np.linalg.norm(center_of_views() - place) > 5 and not np.allclose(camera(), seen, atol=1.0)
    user.screenshot("masks-proposal-after", of="window")
    press(user, Qt.Key.Key_B)
    assert user.find("beforeButton").checked
    user.screenshot("masks-proposal-before", of="window")
    press(user, Qt.Key.Key_B)
    assert not user.find("beforeButton").checked
    press(user, Qt.Key.Key_R)
    assert not user.sees("proposalWidget") and segments_as_bytes(faulty.segmentation) == before
    assert scene.GetNumberOfNodes() == there and np.allclose(center_of_views(), place) and np.allclose(camera(), seen)

    user.click(f"findingFixButton{stray_row(user)}")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    press(user, Qt.Key.Key_A)
    assert not mask_of(faulty.segmentation, "Tumor", faulty.reference)[2:5, 4:9, 4:9].any()
    assert np.allclose(center_of_views(), place) and np.allclose(camera(), seen)
    application.select_module("SegmentEditor")
    user.settle()
    press(user, Qt.Key.Key_N)  # the keys have been released
    assert np.allclose(center_of_views(), place)


@pytest.mark.slow
def test_grading_shows_the_findings_too(user: Any, faulty: Any, context: Any) -> None:
    grade(user)
    assert STRAY in user.text(f"findingLabel{stray_row(user)}")
    lesion = np.zeros_like(mask_of(faulty.segmentation, "Tumor", faulty.reference))
    lesion[2:5, 4:9, 4:9] = True
    erase(faulty.segmentation, "Tumor", lesion, faulty.reference)
    user.open_section("masksSection")
    user.wait_until(lambda: "Before the last change" in user.text("masksSummaryLabel"), what="the edit")
    first = context.report
    user.click("liveCheckBox")
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    assert "Before the last change" not in user.text("masksSummaryLabel")
    assert not any(finding.code == "lesion-outside-liver" for finding in context.report.findings)


def test_a_tumor_segment_is_split_into_lesions(user: Any, nodes: Any, context: Any) -> None:
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    user.open_section("masksSection")
    user.click("splitButton")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    stays = "The largest lesion stays in Tumor; each other one gets a segment of its own: "
    assert stays in user.text("proposalLabel")
    user.click("acceptButton")
    names = [nodes.segmentation.GetSegmentation().GetSegment(i).GetName() for i in context.choice.tumors]
    assert len(names) >= 2
    parts = [mask_of(nodes.segmentation, name, nodes.reference) for name in names]
    assert np.array_equal(sum(part.astype(int) for part in parts), tumor.astype(int))
    user.screenshot("masks-split")
    grade(user)
    assert len([row for row in context.report.regions if row.kind == "tumor"]) == len(names)


def test_a_second_click_before_a_button_is_hidden_does_nothing(user: Any, nodes: Any, application: Any) -> None:
    user.open_section("masksSection")
    for decision in ("rejectButton", "acceptButton", "undoFixButton"):
        if decision != "undoFixButton":
            user.click("splitButton")
            user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
        button = user.find(decision)
        for _click in range(2):
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        user.settle()
        application.assert_no_errors()
        assert not user.sees("proposalWidget") and user.sees("undoFixButton") is (decision == "acceptButton")


@pytest.mark.parametrize("by_hand", [False, True])
def test_edits_and_choices_made_during_a_fix_are_kept_when_it_is_undone(
    user: Any, nodes: Any, context: Any, by_hand: bool
) -> None:
    """Otherwise a lesion that was just drawn would be left out of the grade silently."""

    def names() -> list[str]:
        data = nodes.segmentation.GetSegmentation()
        return [data.GetSegment(i).GetName() for i in context.choice.tumors]

    def draw(name: str) -> None:
        nodes.segmentation.GetSegmentation().AddEmptySegment(name, name)
        user.wait_until(lambda: by_hand or name in names(), what=f"{name} to be seen")
        user.open_section("inputsSection")
        user.wait_until(
            lambda: user.find("tumorList").count == len(nodes.segmentation.GetSegmentation().GetSegmentIDs())
        )
        if by_hand:
            user.check("tumorList", name, on=True)

    if by_hand:  # a segment that would not be recognized automatically
        draw("Nothing known")
    user.open_section("masksSection")
    user.click("splitButton")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    draw("Lesion 8")
    user.open_section("masksSection")
    user.click("acceptButton")
    chosen, new = names(), {"Lesion 2", "Lesion 3"}
    assert "Lesion 8" in chosen and new <= set(chosen) and ("Nothing known" in chosen) is by_hand
    draw("Lesion 9")
    user.open_section("masksSection")
    user.click("undoFixButton")
    assert set(names()) == {*chosen, "Lesion 9"} - new
    assert (context.state.tumors is not None) is by_hand, "recognition goes on where nothing was chosen by hand"


def test_a_case_that_cannot_be_checked_shows_the_reason_and_opens_in_the_segment_editor(
    user: Any, nodes: Any, application: Any
) -> None:
    everything = ball(nodes.reference, (0.0, 0.0, 0.0), 1e6)
    erase(nodes.segmentation, "Liver", everything, nodes.reference)
    check(user)
    assert "The liver" in user.text("masksMessageLabel") and "draw" in user.text("masksMessageLabel")

    user.open_section("masksSection")
    user.click("segmentEditorButton")
    assert application.selected == "SegmentEditor"
    assert application.segment_editor.segmentation is nodes.segmentation
    assert application.segment_editor.source is nodes.reference
