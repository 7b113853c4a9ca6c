"""The layout for reading PET and CT: what it shows with mouse and keyboard; the user's own settings stay unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.reading_layout import ONE, ORIENTATIONS, OWN_SLICES, THREE_D, THREE_ROWS, view_name
from support.edits import ball, paint
from support.panel_steps import GRADE_S, grade, panel_of, wait_for_annotations, wait_for_inputs
from support.scene_files import load_scene, save_scene

USERS = ("Red", "Green", "Yellow")
DEFAULT = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def manager() -> Any:
    return slicer.app.layoutManager()


def layers(name: str) -> tuple[str | None, str | None, float]:
    """Names of the background and foreground of a slice view, and the foreground opacity."""
    node = manager().sliceWidget(name).mrmlSliceCompositeNode()
    volumes = map(
        slicer.mrmlScene.GetNodeByID, (node.GetBackgroundVolumeID() or "", node.GetForegroundVolumeID() or "")
    )
    return *(volume.GetName() if volume is not None else None for volume in volumes), node.GetForegroundOpacity()


def users_side(nodes: Any) -> dict[str, Any]:
    """What the layout must leave unchanged: views with their layers, volumes with their displays, including MTimes."""
    seen: dict[str, Any] = {"layout": manager().layout}
    for name in USERS:
        widget = manager().sliceWidget(name)
        seen[name] = layers(name), widget.mrmlSliceNode().GetFieldOfView(), widget.sliceLogic().GetSliceOffset()
    for modality, node in nodes.volumes.items():
        display = node.GetDisplayNode()
        seen[modality] = (
            node.GetMTime(),
            node.GetImageData().GetMTime(),
            node.GetNumberOfDisplayNodes(),
            slicer.util.arrayFromVolume(node).tobytes(),
            display.GetMTime(),
            (display.GetWindow(), display.GetLevel(), display.GetColorNodeID(), display.GetLowerThreshold()),
        )
    return seen


def display_of(name: str) -> Any:
    """The display node of the last image shown in a slice view."""
    node = manager().sliceWidget(name).mrmlSliceCompositeNode()
    volume_id = node.GetForegroundVolumeID() or node.GetBackgroundVolumeID()
    return slicer.mrmlScene.GetNodeByID(volume_id).GetDisplayNode()


def hidden_nodes() -> list[str]:
    """Volumes, segmentations and markups that only the module's own views need."""
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode")
    nodes = [node for kind in kinds for node in slicer.util.getNodesByClass(kind)]
    return sorted(node.GetName() for node in nodes if node.GetHideFromEditors())


def key(user: Any, digit: int) -> None:
    user.press_shortcut(getattr(Qt.Key, f"Key_{digit}"), Qt.KeyboardModifier.AltModifier)
    wait_for_annotations(user)


def test_images_are_chosen_by_buttons_and_shortcuts_and_the_layout_is_restored(
    user: Any, nodes: Any, application: Any, tmp_path: Path
) -> None:
    axial = view_name(1, "Axial")
    assert manager().layout == ONE, "a case with PET is shown at once"
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    application.select_module("SegmentEditor")
    before, alone = users_side(nodes), hidden_nodes()
    assert before["layout"] == DEFAULT and alone == []
    application.select_module("REACTKD")
    assert manager().layout == ONE and layers(axial) == ("CT", "FDG PET", 0.5)
    shown = [name for name in manager().sliceViewNames() if manager().sliceWidget(name).isVisible()]
    assert shown == [view_name(1, name) for name in ORIENTATIONS]
    assert user.find("fusedFdgButton").checked and "Alt+4" in user.find("fusedFdgButton").toolTip

    user.click("fdgButton")
    assert layers(axial)[:2] == ("FDG PET", None)
    assert display_of(axial).GetColorNode().GetName() == "REACTKDGray"
    assert (display_of(axial).GetWindowLevelMin(), display_of(axial).GetWindowLevelMax()) == (0, 7)
    user.choose("petWindowComboBox", "SUV 0 to 15")
    assert display_of(axial).GetWindowLevelMax() == 15
    display_of(axial).SetWindowLevelMinMax(0, 3)  # as the mouse does
    user.choose("petColorsComboBox", "Hot")
    assert display_of(axial).GetColorNode().GetName() == "REACTKDHot" and display_of(axial).GetWindowLevelMax() == 3
    user.choose("petWindowComboBox", "SUV 0 to 15")
    assert display_of(axial).GetWindowLevelMax() == 15, "chosen again, it is set again"
    key(user, 5)
    assert (
        layers(axial)[:2] == ("CT", "Acetate PET") and display_of(axial).GetColorNode().GetName() == "REACTKDHotFused"
    )
    user.press(Qt.Key.Key_End, "petOpacitySlider")
    assert layers(axial)[2] == 1.0
    key(user, 1)
    user.choose("ctWindowComboBox", "Abdomen, -160 to 240 HU")
    assert (display_of(axial).GetWindowLevelMin(), display_of(axial).GetWindowLevelMax()) == (-160, 240)

    key(user, 6)
    assert manager().layout == THREE_ROWS
    assert [layers(view_name(row, "Coronal"))[0] for row in (1, 2, 3)] == ["CT", "FDG PET", "Acetate PET"]
    logic = manager().sliceWidget(view_name(2, "Axial")).sliceLogic()
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(logic.GetSliceOffset() + 12.5)
    logic.EndSliceOffsetInteraction()
    offsets = {manager().sliceWidget(view_name(row, "Axial")).sliceLogic().GetSliceOffset() for row in (1, 2, 3)}
    assert len({round(offset, 6) for offset in offsets}) == 1, "rows move together"

    key(user, 0)
    assert manager().layout == DEFAULT and not user.find("layoutCheckBox").checked
    user.click("layoutCheckBox")
    assert manager().layout == THREE_ROWS
    manager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)  # as with the tool bar
    user.settle()
    assert not user.find("layoutCheckBox").checked and not user.find("rowsButton").checked
    manager().setLayout(DEFAULT)
    key(user, 4)
    assert manager().layout == ONE and PanelState.of(slicer.mrmlScene).reading_view.images == "ct+fdg"
    application.select_module("SegmentEditor")
    assert users_side(nodes) == before and hidden_nodes() == alone
    application.select_module("REACTKD")
    assert manager().layout == ONE
    slicer.mrmlScene.Clear(0)
    user.settle()
    assert manager().layout == DEFAULT and hidden_nodes() == []
    assert not user.find("fdgButton").enabled
    application.select_module("SegmentEditor")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert manager().layout == DEFAULT and hidden_nodes() == [], "what is only for the views is not saved"


def test_a_result_is_shown_in_all_views(user: Any, nodes: Any, context: Any, application: Any) -> None:
    grade(user)
    wait_for_annotations(user)
    user.screenshot("views-fused", of="window")
    assert set(hidden_nodes()) >= {"CT", "FDG PET", "REACTKD lesion names"}
    key(user, 6)
    user.screenshot("views-rows", of="window")
    rows = [row[0] for row in user.rows("regionTable")]
    for region in context.report.regions[1:3]:
        user.click_cell("regionTable", rows.index(region.name), 1)
        for name in OWN_SLICES:
            center = slicer.util.arrayFromVTKMatrix(manager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS())[:3, 3]
            assert center == pytest.approx(region.centroid_ras_mm, abs=1e-3), name
    key(user, 4)
    user.click_cell("regionTable", rows.index(region.name), 1)
    camera = next(n for n in slicer.util.getNodesByClass("vtkMRMLCameraNode") if n.GetLayoutName() == THREE_D)
    assert camera.GetFocalPoint() == pytest.approx(region.centroid_ras_mm, abs=1e-3)

    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(context.outputs.scale)
    views = [*slicer.util.getNodesByClass("vtkMRMLSliceNode"), *slicer.util.getNodesByClass("vtkMRMLViewNode")]
    drawn = lambda display: [view.GetLayoutName() for view in views if display.GetVisibility(view.GetID())]  # noqa: E731
    assert drawn(legend) == [THREE_D]
    key(user, 6)
    assert drawn(legend) == [view_name(1, "Axial")]
    key(user, 0)
    assert drawn(legend) == ["1"], "in the user's layout the 3D view has it"
    assert set(drawn(context.outputs.regions.GetDisplayNode())) == {view.GetLayoutName() for view in views}
    key(user, 2)
    assert not set(drawn(context.outputs.regions.GetDisplayNode())) & {view_name(1, name) for name in ORIENTATIONS}
    over = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "over a PET" in node.GetName()]
    assert {name for node in over for name in drawn(node.GetDisplayNode())} == {view_name(1, n) for n in ORIENTATIONS}
    assert not any(node.GetDisplayNode().GetVisibility2DFill() for node in over), "the uptake is seen"

    user.choose("overlayComboBox", "Voxel map")
    assert layers(view_name(1, "Axial"))[:2] == ("FDG PET", context.outputs.heat_map.GetName())
    key(user, 4)
    user.choose("overlayComboBox", "Weight (attention)")
    assert layers(view_name(1, "Axial")) == ("CT", "FDG PET", 0.5), "the PET comes back under the map"
    user.click("namesCheckBox")
    wait_for_annotations(user)
    assert "REACTKD lesion names" not in hidden_nodes()
    application.select_module("SegmentEditor")
    assert set(drawn(context.outputs.regions.GetDisplayNode())) == {view.GetLayoutName() for view in views}


def test_a_case_with_one_image_offers_that_image_only(user: Any, nodes: Any, context: Any) -> None:
    if not user.sees("ctSelector"):
        user.toggle_section("inputsSection")
    user.choose("ctSelector", None)
    user.choose("acetateSelector", None)
    assert layers(view_name(1, "Axial"))[:2] == ("FDG PET", None)
    names = ("ctButton", "fdgButton", "acetateButton", "fusedFdgButton", "fusedAcetateButton", "rowsButton")
    assert [user.find(name).enabled for name in names] == [False, True, False, False, False, False]
    key(user, 4)
    assert layers(view_name(1, "Axial"))[:2] == ("FDG PET", None)
    fdg = nodes.volumes[Modality.FDG]
    array = slicer.util.arrayFromVolume(fdg)
    voxels = np.array(array)
    array[:] = voxels * 1.0  # an in-place edit, as by a filter of another module
    fdg.Modified()
    shown = slicer.mrmlScene.GetNodeByID(
        manager().sliceWidget(view_name(1, "Axial")).mrmlSliceCompositeNode().GetBackgroundVolumeID()
    )
    assert shown.GetImageData() is fdg.GetImageData() and shown is not fdg


def test_the_layout_can_be_left_after_the_scene_was_closed(
    user: Any, scene: Any, nodes: Any, phantom_case: Any
) -> None:
    scene.Clear(0)
    wait_for_inputs(user, nodes_from_case(scene, phantom_case))
    assert manager().layout == ONE
    manager().setLayout(DEFAULT)
    user.settle()
    assert not user.find("layoutCheckBox").checked
    user.open_section("inputsSection")
    user.choose("acetateSelector", None)  # everything is shown again
    assert manager().layout == DEFAULT


def own_views() -> dict[str, Any]:
    """What the module sets in its views, once: they are linked, dark, and not saved."""
    composites = [manager().sliceWidget(name).mrmlSliceCompositeNode() for name in OWN_SLICES[:3]]
    slices = [manager().sliceWidget(name).mrmlSliceNode() for name in OWN_SLICES[:3]]
    view = slicer.mrmlScene.GetSingletonNode(THREE_D, "vtkMRMLViewNode")
    return {
        "linked": [node.GetLinkedControl() for node in composites],
        "new images": [node.GetDoPropagateVolumeSelection() for node in composites],
        "saved": [node.GetSaveWithScene() for node in (*composites, *slices, view)],
        "3D": (view.GetBoxVisible(), view.GetAxisLabelsVisible(), view.GetBackgroundColor(), view.GetUseDepthPeeling()),
    }


def test_a_loaded_scene_that_was_saved_in_the_layout_shows_the_views_as_before(
    user: Any, scene: Any, nodes: Any, context: Any, tmp_path: Path
) -> None:
    """Loading resets all views, and the layout of the scene is the one that is shown already."""
    before = own_views()
    assert manager().layout == ONE and before["linked"] == [1, 1, 1] and not any(before["saved"])
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    user.wait_until(lambda: context.nodes is not None, what="the case of the scene")
    assert manager().layout == ONE and own_views() == before
    composite = manager().sliceWidget(OWN_SLICES[0]).mrmlSliceCompositeNode()
    composite.SetLinkedControl(False)
    scene.GetSingletonNode(THREE_D, "vtkMRMLViewNode").SetBoxVisible(True)
    changed = own_views()
    context.changed()
    assert own_views() == changed, "what the user sets stays"


def places() -> list[tuple[float, ...]]:
    """The position and field of view of each of the module's slices."""
    nodes = [manager().sliceWidget(name).mrmlSliceNode() for name in OWN_SLICES[:3]]
    ras = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3] for node in nodes]
    return [(*place, *node.GetFieldOfView()[:2]) for place, node in zip(ras, nodes, strict=True)]


def test_the_slices_stay_at_a_lesion_when_a_pet_is_left_out_or_added(user: Any, nodes: Any, context: Any) -> None:
    """The reader lost the lesion: every plane jumped to the middle of the image."""
    user.settle()
    jump_to(nodes.reference, (12.0, 34.0, -21.0))
    before = places()
    user.open_section("inputsSection")
    for image in (None, nodes.volumes[Modality.ACETATE]):
        user.choose("acetateSelector", image)
        user.settle()
        assert np.allclose(places(), before), "the acetate PET"
    user.choose("fdgSelector", None)  # it is the one that is shown over the CT
    user.settle()
    assert np.allclose(places(), before), "the PET on show"


def picture(name: str) -> bytes:
    """The pixels of a slice view of this name."""
    drawn = manager().sliceWidget(name).sliceView().draw()
    if drawn is None:
        return b""
    image = drawn.convertToFormat(QImage.Format.Format_RGB32)  # kept: its bits do not keep it
    return bytes(image.constBits())


@pytest.mark.parametrize("images", [1, 4, 6])
def test_names_stay_above_the_outlines_that_later_grades_draw(user: Any, nodes: Any, context: Any, images: int) -> None:
    context.state.live = True
    grade(user)
    key(user, images)
    first = context.report
    center = np.array(next(row.centroid_ras_mm for row in first.regions if row.name == "Lesion 1"))
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, center + [-25, 0, 25], 11.0), nodes.reference)
    user.wait_until(lambda: context.report is not first and not context.busy, GRADE_S, "the live grade")
    user.click_cell("regionTable", [row[0] for row in user.rows("regionTable")].index("Lesion 1"), 1)
    wait_for_annotations(user)
    widgets = {name: manager().sliceWidget(name) for name in OWN_SLICES}
    shown = [name for name, widget in widgets.items() if widget is not None and widget.visible]
    assert len(shown) == (9 if images == 6 else 3)
    after = {name: picture(name) for name in shown}
    names = next(section for section in panel_of(user).sections if section.ui_file == "ViewsPanel.ui").names
    names.close()
    bare = {name: picture(name) for name in shown}
    names.show(context.outputs.regions)  # made now, they are above everything
    above = {name: picture(name) for name in shown}
    assert [name for name in shown if after[name] != above[name]] == []
    assert any(bare[name] != above[name] for name in shown) or not any(above.values())
