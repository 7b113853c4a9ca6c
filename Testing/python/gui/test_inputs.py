"""Section Inputs: what is recognized, what the user corrects, what is said about each image, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.volumes import node_from_volume
from support.panel_steps import grade, panel_of, small_phantom, wait_for_inputs
from support.worlds import linear_transform, rigid


def test_a_loaded_case_is_selected_and_choices_of_the_user_are_kept_and_shown(
    user: Any, nodes: Any, application: Any
) -> None:
    for name, modality in (
        ("ctSelector", Modality.CT),
        ("fdgSelector", Modality.FDG),
        ("acetateSelector", Modality.ACETATE),
    ):
        assert user.find(name).currentNode() is nodes.volumes[modality]
    user.open_section("inputsSection")
    assert user.text("liverComboBox") == "Liver"
    assert "Hounsfield units" in user.text("ctInfoLabel") and "128 x 128 x 42" in user.text("ctInfoLabel")
    assert "SUV" in user.text("fdgInfoLabel") and " mm" in user.text("acetateInfoLabel")
    assert user.find("gradeButton").enabled and user.text("stateLabel") == "Ready to grade."
    assert not user.sees("inputsWarningLabel")

    user.choose("fdgSelector", None)
    application.select_module("SegmentEditor")
    application.select_module("REACTKD")
    assert user.find("fdgSelector").currentNode() is None
    user.click("recognizeButton")
    assert user.find("fdgSelector").currentNode() is nodes.volumes[Modality.FDG]

    user.choose("fdgSelector", nodes.volumes[Modality.ACETATE])
    assert "same image" in user.text("inputsWarningLabel")
    user.choose("acetateSelector", nodes.volumes[Modality.FDG])
    assert user.text("inputsWarningLabel").count("named like") == 2
    user.screenshot("inputs-exchanged")

    user.choose("ctSelector", nodes.volumes[Modality.FDG])
    user.choose("fdgSelector", nodes.volumes[Modality.CT])
    assert "SUV" in user.text("ctInfoLabel") and "Hounsfield" not in user.text("ctInfoLabel")
    assert "Hounsfield units" in user.text("fdgInfoLabel")

    user.choose("segmentationSelector", None)
    assert not user.find("gradeButton").enabled
    assert user.text("stateLabel") == "Choose the segmentation with the liver and its tumors."
    user.choose("segmentationSelector", nodes.segmentation)
    for name in ("ctSelector", "fdgSelector", "acetateSelector"):
        user.choose(name, None)
    assert user.text("stateLabel") == "Choose a segmentation and at least one image."


def test_an_image_loaded_in_another_module_is_selected(
    user: Any, scene: Any, nodes: Any, application: Any, phantom_case: Any
) -> None:
    user.open_section("inputsSection")
    user.choose("acetateSelector", None)  # left out on purpose
    scene.RemoveNode(nodes.volumes[Modality.FDG])
    user.wait_until(lambda: user.find("fdgSelector").currentNode() is None, what="the image to go")
    application.select_module("SegmentEditor")
    image = node_from_volume(scene, phantom_case.volumes[Modality.FDG], "FDG PET")
    timer = application.modules["REACTKD"].widgetRepresentation().self().panel.nodes_timer
    user.wait_until(lambda: not timer.isActive(), what="the panel to hear of it")
    application.select_module("REACTKD")
    assert user.find("fdgSelector").currentNode() is image
    assert user.find("acetateSelector").currentNode() is None


@pytest.mark.parametrize("deleted", ["masks", "images"])
def test_what_was_deleted_is_not_replaced_by_that_of_a_patient_who_is_loaded_next(
    user: Any, scene: Any, nodes: Any, context: Any, deleted: str
) -> None:
    """The panel was ready to grade the images of one patient with the masks of another."""
    gone = [nodes.segmentation] if deleted == "masks" else nodes.volumes.values()
    for node in gone:
        scene.RemoveNode(node)
    user.wait_until(lambda: context.nodes is None, what="the removal to be seen")
    sentence = user.text("stateLabel")
    assert sentence.startswith("Choose")
    nodes_from_case(scene, small_phantom(2))
    timer = panel_of(user).nodes_timer
    user.wait_until(lambda: not timer.isActive(), what="the panel to hear of it")
    user.open_section("inputsSection")
    for again in (False, True):
        if again:
            user.click("recognizeButton")
        assert context.nodes is None and user.text("stateLabel") == sentence and not user.find("gradeButton").enabled
        kept = [node for node in (*context.state.volumes.values(), context.state.segmentation) if node is not None]
        assert set(kept) == set(nodes.all()) - set(gone)


def test_a_missing_pet_is_completed_by_a_pet_and_ct_and_not_by_another_patient(
    user: Any, scene: Any, nodes: Any, context: Any, phantom_case: Any
) -> None:
    """A PET comes with a CT of its own, and a patient with masks, too."""
    scene.RemoveNode(nodes.volumes[Modality.FDG])
    user.wait_until(lambda: Modality.FDG not in context.nodes.volumes, what="the removal to be seen")
    timer, other = panel_of(user).nodes_timer, nodes_from_case(scene, small_phantom(2))
    user.wait_until(lambda: not timer.isActive(), what="the panel to hear of the other patient")
    assert set(context.nodes.all()) == set(nodes.all()) - {nodes.volumes[Modality.FDG]}
    for node in other.all():
        scene.RemoveNode(node)
    user.wait_until(lambda: not timer.isActive(), what="the panel to hear of the removal")
    node_from_volume(scene, phantom_case.volumes[Modality.CT], "CT for attenuation correction")
    pet = node_from_volume(scene, phantom_case.volumes[Modality.FDG], "FDG PET")
    user.wait_until(lambda: context.nodes.volumes.get(Modality.FDG) is pet, what="the PET")
    assert context.nodes.reference is nodes.reference


def test_masks_that_are_loaded_again_are_selected(user: Any, scene: Any, nodes: Any, context: Any) -> None:
    copy = scene.CreateNodeByClass("vtkMRMLSegmentationNode")
    copy.UnRegister(None)
    copy.GetSegmentation().DeepCopy(nodes.segmentation.GetSegmentation())
    scene.RemoveNode(nodes.segmentation)
    user.wait_until(lambda: context.nodes is None, what="the removal to be seen")
    scene.AddNode(copy)
    user.wait_until(lambda: context.nodes is not None and context.nodes.segmentation is copy, what="the new masks")


def test_a_liver_that_is_not_recognized_can_be_chosen(user: Any, scene: Any, phantom_nodes: Any) -> None:
    data = phantom_nodes.segmentation.GetSegmentation()
    for segment_id, name in (("Liver", "Segment_1"), ("Tumor", "Segment_2")):
        data.GetSegment(segment_id).SetName(name)
        data.GetSegment(segment_id).SetTerminology("")
    wait_for_inputs(user, phantom_nodes)
    assert "No segment is recognized as the liver" in user.text("inputsWarningLabel")
    user.screenshot("inputs-liver-unknown")
    user.open_section("inputsSection")
    user.choose("liverComboBox", "Segment_1")
    assert user.find("gradeButton").enabled
    user.check("tumorList", "Segment_2")
    widget_choice = user.application.modules["REACTKD"].widgetRepresentation().self().panel.context.choice
    assert (widget_choice.livers, widget_choice.tumors) == (("Liver",), ("Tumor",))


def test_a_shared_rigid_transform_is_accepted_and_a_grid_transform_is_refused_with_the_reason(
    user: Any, scene: Any, nodes: Any
) -> None:
    shared = linear_transform(scene, rigid((5, 6, 7), (8, 9, 10)))
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(shared.GetID())
    user.open_section("inputsSection")
    user.click("recognizeButton")
    assert user.find("gradeButton").enabled

    nodes.volumes[Modality.FDG].SetAndObserveTransformNodeID(grid_transform(scene).GetID())
    user.click("recognizeButton")
    assert not user.find("gradeButton").enabled
    assert "The FDG PET lies under a transform that bends space" in user.text("inputsWarningLabel")
    assert "harden" in user.text("stateLabel")
    user.screenshot("inputs-grid-transform")
    user.choose("fdgSelector", None)
    assert user.find("gradeButton").enabled


def grid_transform(scene: Any) -> Any:
    """A transform node that deforms space slightly."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    grid = vtk.vtkImageData()
    grid.SetDimensions(4, 4, 4)
    grid.SetOrigin(-300, -300, -300)
    grid.SetSpacing(200, 200, 200)
    displacement = np.random.default_rng(0).normal(0, 2, (64, 3))
    grid.GetPointData().SetScalars(numpy_to_vtk(displacement, deep=True))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(grid)
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformFromParent(transform)
    return node


def test_a_deleted_node_is_no_longer_an_input(user: Any, scene: Any, nodes: Any) -> None:
    scene.RemoveNode(nodes.volumes[Modality.FDG])
    user.wait_until(lambda: not user.sees("fdgInfoLabel"), what="the deletion to be noticed")
    assert user.find("fdgSelector").currentNode() is None and user.find("gradeButton").enabled
    scene.RemoveNode(nodes.segmentation)
    user.wait_until(lambda: not user.find("gradeButton").enabled, what="the deletion to be noticed")


def test_a_result_that_is_chosen_as_an_input_is_refused_with_a_sentence(user: Any, nodes: Any, context: Any) -> None:
    grade(user)
    outputs, refused = context.outputs, "is a result of this module"
    user.open_section("inputsSection")
    for name, result, own in (
        ("fdgSelector", outputs.heat_map, nodes.volumes[Modality.FDG]),
        ("segmentationSelector", outputs.regions, nodes.segmentation),
    ):
        user.choose(name, result)
        assert refused in user.text("stateLabel") and not user.find("gradeButton").enabled
        assert not user.sees("gradeLabel") and not outputs.regions.GetDisplayNode().GetVisibility()
        user.choose(name, own)
        assert user.sees("gradeLabel") and not user.sees("stateLabel")
        assert outputs.regions.GetDisplayNode().GetVisibility()


def test_choices_are_restored_with_a_saved_scene(user: Any, widget: Any, scene: Any, nodes: Any, tmp_path: Any) -> None:
    from support.scene_files import load_scene, save_scene

    user.open_section("inputsSection")
    user.choose("acetateSelector", None)
    user.check("tumorList", "Tumor", on=False)
    user.click("liveCheckBox")
    user.open_section("settingsSection")
    user.choose("deviceComboBox", "CPU")
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    user.wait_until(lambda: not widget.panel.nodes_timer.active, what="the look at the nodes that came")
    assert user.find("ctSelector").currentNode().GetName() == "CT"
    assert user.find("acetateSelector").currentNode() is None
    assert user.find("tumorList").item(1).checkState() == user.find("tumorList").item(0).checkState()
    assert user.find("liveCheckBox").checked and user.text("deviceComboBox") == "CPU"


def test_the_section_fits_into_300_pixels(application: Any, user: Any, nodes: Any) -> None:
    """With every section open, as all of them can be."""
    application.window.set_panel_width(300)
    for name in ("cases", "inputs", "masks", "grade", "why", "report", "training", "settings"):
        user.find(f"{name}Section").collapsed = False
    user.settle()
    panel = application.modules["REACTKD"].widgetRepresentation()
    wide = [child for child in panel.findChildren(type(user.find("gradeButton"))) if child.isVisible()]
    user.screenshot("panel-300")
    assert panel.minimumSizeHint().width() <= 300
    assert all(child.mapTo(panel, child.rect.topRight()).x() <= panel.width for child in wide)
