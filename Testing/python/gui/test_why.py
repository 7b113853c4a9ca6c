"""Section Why: the deciding regions, where they are, how they are drawn, and the answer without some of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from scipy import ndimage

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.share_words import direction_words, explained
from REACTKDLib.gui.findings import BEFORE_THE_CHANGE
from REACTKDLib.scene.case import nodes_from_case
from support.edits import ball, erase, mask_of, paint
from support.panel_steps import GRADE_S, grade, probabilities, small_phantom, toggle_box
from support.scene_files import load_scene, save_scene


@pytest.fixture
def graded(user: Any, nodes: Any) -> Any:
    """The phantom, graded by the small model."""
    grade(user)
    return nodes


def drawn(context: Any) -> dict[str, Any]:
    """What is visible of the answer, according to the display nodes."""
    outputs = context.outputs
    display, data = outputs.regions.GetDisplayNode(), outputs.regions.GetSegmentation()
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(outputs.scale)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    return {
        "colors": [data.GetSegment(segment_id).GetColor() for segment_id in data.GetSegmentIDs()],
        "fill": display.GetOpacity2DFill(),
        "3d": bool(display.GetVisibility3D()),
        "legend": bool(legend.GetVisibility()),
        "title": legend.GetTitleText().split("\n")[1:],
        "graph": bool(outputs.graph_nodes.GetDisplayVisibility()),
        "map": red.GetForegroundVolumeID() == outputs.heat_map.GetID(),
    }


def click_header(user: Any, column: int) -> None:
    """Click a column header."""
    header = user.find("regionTable").horizontalHeader()
    spot = QPoint(header.sectionViewportPosition(column) + 10, header.height // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, spot)
    user.settle()


def test_no_number_is_cut_off_in_a_larger_font(user: Any, graded: Any) -> None:
    """Slicer sets another font while it runs. A number without its end is another one."""
    table, letters = user.find("regionTable"), QApplication.font()
    letters.setPointSizeF(2 * letters.pointSizeF())
    table.setFont(letters)
    user.settle()
    needed = [table.sizeHintForColumn(column) for column in range(1, table.columnCount)]
    assert all(table.columnWidth(column) >= width for column, width in enumerate(needed, start=1)), needed


def test_the_table_has_the_rows_of_the_report_and_sorting_keeps_boxes_and_selection(
    user: Any, graded: Any, context: Any
) -> None:
    rows, report = user.rows("regionTable"), context.report
    assert {row[0] for row in rows} == {region.name for region in report.regions}
    effects = [float(row[1]) for row in rows]
    assert effects == sorted(effects, reverse=True)
    assert effects[0] == pytest.approx(100 * max(region.share for region in report.regions), abs=0.05)
    lesion = next(region for region in report.regions if region.name == "Lesion 1")
    row = next(n for n, texts in enumerate(rows) if texts[0] == "Lesion 1")
    user.click_cell("regionTable", row, 1)
    told = user.text("regionDetailsLabel").replace("&nbsp;", " ")
    speaks = direction_words(report, lesion)
    assert speaks and told.startswith(f"<b>Lesion 1</b> speaks {speaks}. Left out: {100 * lesion.deletion_effect:.1f}")
    assert f"Weight %: {100 * lesion.value('weight'):.1f}" in told
    kinds = ("SUVmax", "SUVmean", "SUVpeak", "tumor/liver")
    measured = ["Longest axial diameter mm", *(f"{pet} {kind}" for pet in ("FDG", "Acetate") for kind in kinds)]
    assert all(re.search(rf"{name}: [1-9\d.]", told) for name in measured), told
    assert "Left out: Decrease of the grade's probability" in user.find("regionDetailsLabel").toolTip
    user.press(Qt.Key.Key_Down, "regionTable")
    assert "<b>Lesion 1</b>" not in user.text("regionDetailsLabel"), "it follows the keys, too"
    bar = user.find("regionTable").horizontalScrollBar()
    assert not bar.isVisible() and bar.maximum == 0
    click_header(user, 2)
    volumes = [float(row[2]) for row in user.rows("regionTable") if row[2]]
    assert volumes == sorted(volumes, reverse=True) and len(volumes) >= 2
    assert user.rows("regionTable")[-1][2] == "", "what has no volume is last"
    click_header(user, 2)
    assert [float(row[2]) for row in user.rows("regionTable") if row[2]] == volumes[::-1]
    assert user.rows("regionTable")[-1][2] == ""
    click_header(user, 0)
    assert [row[0] for row in user.rows("regionTable")] == [region.name for region in report.regions]
    for row in user.rows("regionTable"):  # 2.0 next to 1.2, not 2
        assert all(len(text.partition(".")[2]) == digits for text, digits in zip(row[1:3], (1, 1)) if text), row

    rows = [row[0] for row in user.rows("regionTable")]
    toggle_box(user, "regionTable", rows.index("Lesion 1"))
    user.wait_until(lambda: context.controller.what_if_answer is not None and not context.busy, 60)
    user.click_cell("regionTable", rows.index("Parenchyma"), 1)
    for column in (0, 0, 2, 1):
        click_header(user, column)
        table = user.find("regionTable")
        names = [row[0] for row in user.rows("regionTable")]
        boxes = {table.item(n, 0).text(): table.item(n, 0).checkState() for n in range(table.rowCount)}
        assert sorted(names) == sorted(rows)
        assert [n for n, state in boxes.items() if state == Qt.CheckState.Unchecked] == ["Lesion 1"]
        assert names[table.currentRow()] == "Parenchyma"
    assert context.controller.what_if_answer.mute == ("Lesion 1",), "sorting must not compute again"


@pytest.mark.slow
def test_selection_and_order_are_kept_when_the_case_is_graded_again(
    user: Any, graded: Any, context: Any, scene: Any
) -> None:
    """A user who corrects a mask is looking at one region; another case starts afresh."""
    header, table = user.find("regionTable").horizontalHeader(), user.find("regionTable")
    click_header(user, 2)  # milliliters, largest first
    click_header(user, 2)  # smallest first
    names = [row[0] for row in user.rows("regionTable")]
    user.click_cell("regionTable", names.index("Lesion 2"), 1)
    assert "<b>Lesion 2</b>" in user.text("regionDetailsLabel")
    first = context.report
    user.click("liveCheckBox")
    paint_in_liver(graded, context)
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the grade to follow")
    volumes = [float(row[2]) for row in user.rows("regionTable") if row[2]]
    assert volumes == sorted(volumes) and header.sortIndicatorSection() == 2
    assert user.rows("regionTable")[table.currentRow()][0] == "Lesion 2"
    assert "<b>Lesion 2</b>" in user.text("regionDetailsLabel")
    second = context.report
    erase(graded.segmentation, "Tumor", ball(graded.reference, (0.0, 0.0, 0.0), 1e6), graded.reference)
    user.wait_until(lambda: context.report is not second and not context.busy, GRADE_S, "the grade to follow")
    assert context.report.grade is None and table.currentRow() == 0
    context.open_case(nodes_from_case(scene, small_phantom(2)))
    grade(user)
    assert header.sortIndicatorSection() == 1 and table.currentRow() == 0


def paint_in_liver(case: Any, context: Any) -> None:
    """Add some tumor at the center of the parenchyma."""
    place = context.report.regions[0].centroid_ras_mm
    paint(case.segmentation, "Tumor", ball(case.reference, place, 9.0), case.reference)


def test_a_click_on_a_row_goes_to_the_region(user: Any, graded: Any, context: Any) -> None:
    rows = [row[0] for row in user.rows("regionTable")]
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    for region in context.report.regions[1:3]:
        user.click_cell("regionTable", rows.index(region.name), 1)
        center = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS())[:3, 3]
        assert center == pytest.approx(region.centroid_ras_mm, abs=1e-3)


def test_colors_show_the_chosen_value_and_do_not_change_with_what_if(user: Any, graded: Any, context: Any) -> None:
    seen, hints = {}, {}
    known = (text for text in explained(context.report))
    assert all(text in user.text("whyHintLabel") for text in known) and "without any region" in user.text(
        "whyHintLabel"
    )
    logits, left_out, share = "Contribution to poor (logit)", "Change when left out", "Share of the result"
    assert user.find("overlayComboBox").currentText == share
    for text in ("Weight (attention)", logits, "Voxel map", left_out, share):
        user.choose("overlayComboBox", text)
        seen[text], hints[text] = drawn(context), user.text("whyHintLabel").splitlines()[-1]
        user.screenshot(f"overlay-{text.split()[0].lower()}", of="window")
    says = "Orange speaks for the grade, blue against it; click a row to see the region."
    assert hints[share] == hints[left_out] == says
    assert hints[logits] == "Orange adds to the score of poor, blue takes from it; click a row to see the region."
    assert "Violet has much attention" in hints["Weight (attention)"] and "Orange" not in hints["Weight (attention)"]
    assert "brighter" in hints["Voxel map"] and "blue" not in hints["Voxel map"]
    assert seen["Voxel map"]["map"] and not seen["Voxel map"]["legend"] and seen["Voxel map"]["fill"] == 0
    assert not seen["Weight (attention)"]["map"] and "weight, %" in seen["Weight (attention)"]["title"]
    assert "adds to the logit of poor" in seen[logits]["title"]
    assert "change when left out, percentage points" in seen[left_out]["title"]
    assert "share, percentage points" in seen[share]["title"]
    assert not np.allclose(seen[share]["colors"], seen[left_out]["colors"])

    before, shown = probabilities(user), drawn(context)
    rows = [row[0] for row in user.rows("regionTable")]
    toggle_box(user, "regionTable", rows.index("Lesion 1"))
    user.wait_until(lambda: user.sees("whatIfLabel") and not context.busy, GRADE_S, "what would be")
    assert context.controller.what_if_answer.mute == ("Lesion 1",)
    first = user.text("whatIfLabel")
    assert "without" in first and f"{before['poor']:.1f}" in first
    user.screenshot("what-if")
    user.click("ctInUseCheckBox")
    user.wait_until(lambda: user.text("whatIfLabel") != first and not context.busy, GRADE_S, "what would be")
    assert [m.value for m in context.controller.what_if_answer.leave_out] == ["ct"]
    assert probabilities(user) == before and drawn(context) == shown, "the answer itself stays"
    user.click("everythingButton")
    assert not user.sees("whatIfLabel") and not user.find("everythingButton").enabled


@pytest.mark.slow
def test_layers_can_be_switched(user: Any, graded: Any, context: Any) -> None:
    before = drawn(context)
    assert before["3d"] and before["legend"] and not before["graph"]
    user.open_section("settingsSection")
    for box, what in (("legendCheckBox", "legend"), ("threeDCheckBox", "3d"), ("graphCheckBox", "graph")):
        user.click(box)
        assert drawn(context)[what] is not before[what], what
    user.click("threeDCheckBox")
    user.screenshot("graph", of="window")
    user.find("opacitySlider").setFocus()
    user.press(Qt.Key.Key_End, "opacitySlider")
    assert drawn(context)["fill"] == pytest.approx(1.0)
    grade(user)
    assert drawn(context)["fill"] == pytest.approx(1.0) and drawn(context)["graph"], "the next answer is shown alike"


def test_the_users_segments_are_hidden_with_a_result_and_shown_again(application: Any, user: Any, nodes: Any) -> None:
    display = nodes.segmentation.GetDisplayNode()
    assert display.GetVisibility()
    stray = np.zeros_like(mask_of(nodes.segmentation, "Tumor", nodes.reference))
    stray[2:5, 4:9, 4:9] = True
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    grade(user)
    assert not display.GetVisibility()
    user.click("findingShowButton0")  # the lesion outside the liver belongs to no region of the answer
    assert display.GetVisibility()
    user.click_cell("regionTable", [row[0] for row in user.rows("regionTable")].index("Lesion 1"))
    assert not display.GetVisibility()
    user.click("segmentsCheckBox")
    assert display.GetVisibility()
    user.click("segmentsCheckBox")
    application.select_module("SegmentEditor")
    assert display.GetVisibility()
    application.select_module("REACTKD")
    assert not display.GetVisibility()
    application.close()
    assert display.GetVisibility()


def test_the_legend_is_hidden_while_masks_are_shown(application: Any, user: Any, nodes: Any, context: Any) -> None:
    """Next to the segment colors it would be taken for their legend."""
    stray = np.zeros_like(mask_of(nodes.segmentation, "Tumor", nodes.reference))
    stray[2:5, 4:9, 4:9] = True
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    grade(user)
    assert drawn(context)["legend"]
    user.click("findingShowButton0")
    assert not drawn(context)["legend"]
    user.choose("overlayComboBox", "Weight (attention)")
    assert not drawn(context)["legend"], "another choice of colors does not bring it forward"
    user.click_cell("regionTable", [row[0] for row in user.rows("regionTable")].index("Lesion 1"))
    assert drawn(context)["legend"]

    user.click("findingFixButton0")
    user.wait_until(lambda: user.sees("proposalWidget"), GRADE_S, "the proposal")
    assert not drawn(context)["legend"]
    application.select_module("SegmentEditor")
    assert drawn(context)["legend"], "the legend must be shown with what if"
    application.select_module("REACTKD")
    assert not drawn(context)["legend"]
    user.click("rejectButton")
    assert drawn(context)["legend"]

    user.open_section("settingsSection")
    user.click("legendCheckBox")
    user.click("findingShowButton0")
    user.click_cell("regionTable", 0)
    assert not drawn(context)["legend"], "a legend that the user hid must stay hidden"


@pytest.mark.slow
def test_what_if_after_an_image_was_deleted_is_refused_in_one_sentence(
    user: Any, graded: Any, context: Any, scene: Any
) -> None:
    scene.RemoveNode(graded.volumes[Modality.FDG])
    user.wait_until(lambda: context.outdated, what="the removal to be seen")
    toggle_box(user, "regionTable", 1)
    assert "grade again before you leave something out" in user.text("whatIfLabel")
    user.click("everythingButton")
    assert not user.sees("whatIfLabel")


def test_what_if_of_a_restored_result_of_other_masks_is_refused_beside_the_boxes(
    user: Any, graded: Any, context: Any
) -> None:
    """The worker does not have the former masks. The sentence was in another section, far from the click."""
    user.open_section("inputsSection")
    user.choose("segmentationSelector", None)
    user.choose("segmentationSelector", graded.segmentation)
    assert context.controller.answer is None and context.report is not None
    toggle_box(user, "regionTable", 1)
    user.wait_until(lambda: user.sees("whatIfLabel") and not context.busy, GRADE_S, "what would be")
    assert "The grade" in user.text("whatIfLabel")
    user.choose("segmentationSelector", None)
    user.choose("segmentationSelector", graded.segmentation)
    paint_in_liver(graded, context)
    user.wait_until(lambda: context.outdated, what="the edit to be noticed")
    toggle_box(user, "regionTable", 1)
    assert "grade again before you leave something out" in user.text("whatIfLabel") and not context.busy
    assert left_out(user) and context.controller.error is None
    user.click("everythingButton")
    assert not user.sees("whatIfLabel") and not left_out(user)


def left_out(user: Any) -> set[str]:
    """Return what the cleared boxes leave out: names of regions and of images."""
    table = user.find("regionTable")
    items = [table.item(row, 0) for row in range(table.rowCount)]
    images = {name for name in ("ct", "fdg", "acetate") if not user.find(f"{name}InUseCheckBox").checked}
    return images | {item.text() for item in items if item.checkState() == Qt.CheckState.Unchecked}


@pytest.mark.parametrize("earlier", [False, True], ids=["without an earlier one", "with an earlier one"])
def test_boxes_return_to_the_shown_answer_when_a_what_if_is_canceled(
    user: Any, graded: Any, context: Any, worker: Any, earlier: bool
) -> None:
    """A cleared box beside an answer that includes its region would be read as an answer without it."""
    names = [row[0] for row in user.rows("regionTable")]
    if earlier:
        toggle_box(user, "regionTable", 1)
        user.wait_until(lambda: user.sees("whatIfLabel") and not context.busy, GRADE_S, "the first answer")
    shown = user.find("whatIfLabel").text
    for other in ("a region", "an image"):
        with worker.answers_unread():
            if other == "a region":
                toggle_box(user, "regionTable", 2)
            else:
                user.click("ctInUseCheckBox")
            assert left_out(user) == ({names[1]} if earlier else set()) | {names[2] if other == "a region" else "ct"}
            user.click("cancelButton")
        user.wait_until(lambda: not context.busy, GRADE_S, "the end")
        assert left_out(user) == ({names[1]} if earlier else set())
        assert user.sees("whatIfLabel") is user.find("everythingButton").enabled is earlier
        assert user.find("whatIfLabel").text == shown
    toggle_box(user, "regionTable", 2)
    user.wait_until(lambda: user.sees("whatIfLabel") and not context.busy, GRADE_S, "the next answer")
    assert left_out(user) == {names[2]} | ({names[1]} if earlier else set())


@pytest.mark.parametrize("way", ["canceled", "failed"])
def test_a_box_cleared_during_a_grade_agrees_with_the_answer_when_that_grade_does_not_come(
    user: Any, graded: Any, context: Any, worker: Any, way: str
) -> None:
    """The click waits for the grade. It is dropped with a canceled one, and computed after a failed one."""
    user.wait_until(lambda: worker.idle, GRADE_S, "the worker to be idle")
    with worker.answers_unread() if way == "canceled" else worker.killed():
        user.click("gradeButton")
        toggle_box(user, "regionTable", 1)
        if way == "canceled":
            user.click("cancelButton")
    user.wait_until(lambda: not context.busy, GRADE_S, "the end")
    assert bool(left_out(user)) is user.sees("whatIfLabel") is (way == "failed")


def test_boxes_return_to_the_shown_answer_when_a_what_if_fails(
    user: Any, graded: Any, context: Any, worker: Any
) -> None:
    user.wait_until(lambda: worker.idle, GRADE_S, "the worker to be idle")
    with worker.killed():
        toggle_box(user, "regionTable", 1)
        assert left_out(user)
    user.wait_until(lambda: not context.busy, GRADE_S, "the end")
    assert context.controller.error and user.text("stateLabel") == context.controller.error
    assert not left_out(user) and not user.sees("whatIfLabel") and not user.find("everythingButton").enabled


def test_the_answer_to_the_click_before_is_marked_until_the_next_one_comes(
    user: Any, graded: Any, context: Any, worker: Any
) -> None:
    toggle_box(user, "regionTable", 1)
    user.wait_until(lambda: user.sees("whatIfLabel") and not context.busy, GRADE_S, "the first answer")
    first = user.text("whatIfLabel")
    assert BEFORE_THE_CHANGE not in first
    with worker.answers_unread():
        toggle_box(user, "regionTable", 2)
        assert user.text("whatIfLabel") == f"{BEFORE_THE_CHANGE}{first}"
        user.screenshot("what-if-before-the-change")
        toggle_box(user, "regionTable", 2)
        assert user.text("whatIfLabel") == first, "the boxes are again those of this answer"
        toggle_box(user, "regionTable", 2)
    user.wait_until(lambda: not context.busy, GRADE_S, "the next answer")
    assert len(left_out(user)) == 2 and BEFORE_THE_CHANGE not in user.text("whatIfLabel") != first


def test_the_last_image_cannot_be_left_out(user: Any, graded: Any, context: Any) -> None:
    for name in ("ct", "fdg", "acetate"):
        user.click(f"{name}InUseCheckBox")
    assert user.text("whatIfLabel") == "Keep at least one image."
    user.wait_until(lambda: not context.busy, GRADE_S, "the end")
    assert user.text("whatIfLabel") == "Keep at least one image.", "the answer to an earlier click changes nothing"
    assert context.controller.error is None


def test_a_scene_saved_with_a_result_opens_with_the_users_segments_shown(
    application: Any, user: Any, scene: Any, graded: Any, tmp_path: Path
) -> None:
    name = graded.segmentation.GetName()
    save_scene(scene, tmp_path / "graded.mrb")
    application.select_module("SegmentEditor")
    load_scene(scene, tmp_path / "graded.mrb")
    user.settle()
    (loaded,) = (node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node.GetName() == name)
    assert loaded.GetDisplayNode().GetVisibility()
    application.select_module("REACTKD")
    assert not loaded.GetDisplayNode().GetVisibility()
    application.select_module("SegmentEditor")
    assert loaded.GetDisplayNode().GetVisibility()


def test_a_region_left_out_while_the_case_is_graded_again_is_of_the_former_result(
    user: Any, nodes: Any, context: Any, worker: Any
) -> None:
    """Its lesion may be gone in the new one."""
    context.state.live = False
    grade(user)
    row = [cells[0] for cells in user.rows("regionTable")].index("Lesion 3")
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    labels, _count = ndimage.label(tumor, np.ones((3, 3, 3)))
    erase(nodes.segmentation, "Tumor", labels == 1 + np.argmin(np.bincount(labels.ravel())[1:]), nodes.reference)
    user.wait_until(lambda: context.outdated, what="the edit to be noticed")
    before = context.report
    with worker.answers_unread():
        user.click("gradeButton")
        toggle_box(user, "regionTable", row)
        assert context.busy and context.report is before
    user.wait_until(lambda: not context.busy, GRADE_S, "the grade")
    assert [region.name for region in context.report.regions][1:3] == ["Lesion 1", "Lesion 2"]
    assert user.find("stateLabel").text == "" and context.controller.what_if_answer is None
    assert not user.find("everythingButton").enabled and not user.sees("whatIfLabel")


@pytest.mark.parametrize("gone", ["segmentation", "fdg"])
def test_a_region_left_out_while_the_case_is_graded_again_and_an_input_is_deleted(
    user: Any, graded: Any, scene: Any, context: Any, worker: Any, gone: str
) -> None:
    with worker.answers_unread():
        user.click("gradeButton")
        toggle_box(user, "regionTable", 1)
        scene.RemoveNode(graded.segmentation if gone == "segmentation" else graded.volumes[Modality.FDG])
    user.wait_until(lambda: not context.busy, GRADE_S, "the end")
    sentences = {
        "segmentation": "Choose the segmentation with the liver and its tumors.",
        "fdg": "An input was removed while the case was graded; choose the inputs again and grade.",
    }
    user.wait_until(lambda: user.find("stateLabel").text == sentences[gone], what="the sentence")
