"""Result nodes that the user moved, renamed, uses elsewhere or deleted, whole or in part."""

from __future__ import annotations

import pytest
import slicer
import vtk

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.case import CaseNodes, nodes_from_case
from REACTKDLib.scene.colors import legend_of
from REACTKDLib.scene.folder import folder_of
from REACTKDLib.scene.listed_nodes import ListedNodes, remove_case
from REACTKDLib.scene.other_cases import hide_other_cases
from REACTKDLib.scene.outputs import ROLES, outputs_of, remove_outputs
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.parameter_node import parameter_nodes, read_report
from REACTKDLib.scene.scene_nodes import nodes_of_class, remove_with_displays
from REACTKDLib.scene.session import grade_in_scene
from REACTKDLib.scene.view_choice import ViewChoice, show_as
from support.scene_cases import HandMadeGrader, make_case
from support.scene_files import load_scene, save_scene


def _grade(scene, nodes, grader=None, **options):
    roles = {modality.value: node for modality, node in nodes.volumes.items()}
    return grade_in_scene(scene, **roles, segmentation=nodes.segmentation, grader=grader or HandMadeGrader(), **options)


def test_outputs_are_found_by_reference_after_renaming_and_moving(scene, nodes):
    outputs = outputs_of(_grade(scene, nodes))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    mine = tree.CreateFolderItem(tree.GetSceneItemID(), "mine")
    outputs.regions.SetName("my regions")
    tree.SetItemParent(tree.GetItemByDataNode(outputs.regions), mine)
    again = outputs_of(_grade(scene, nodes))
    assert again.regions.GetID() == outputs.regions.GetID()
    assert again.regions.GetName() == "my regions"
    assert folder_of(scene, again.regions) == mine


def _items(tree) -> list[int]:
    found = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), found, True)
    return [found.GetId(n) for n in range(found.GetNumberOfIds())]


@pytest.mark.parametrize("moved", ["every output", "one output"])
def test_a_folder_of_the_user_stays_when_its_outputs_are_removed(scene, nodes, moved):
    """The module's own folder is removed, but only if it is empty by then."""
    parameter_node = _grade(scene, nodes)
    outputs = outputs_of(parameter_node)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    ours = folder_of(scene, outputs.regions)
    mine = tree.CreateFolderItem(tree.GetSceneItemID(), "mine")
    of_folder = [n for role in ROLES if folder_of(scene, n := parameter_node.GetNodeReference(role)) == ours]
    for node in of_folder if moved == "every output" else [outputs.regions]:
        tree.SetItemParent(tree.GetItemByDataNode(node), mine)
    if moved == "every output":
        _grade(scene, nodes)  # updates them where they are
    remove_outputs(scene, parameter_node)
    left = _items(tree)
    assert mine in left and tree.GetNumberOfItemChildren(mine) == 0
    assert (ours in left) is (moved == "every output"), "the user emptied it before"


def test_a_color_table_that_the_user_gave_to_an_image_stays_when_the_result_is_removed(scene, nodes):
    """The tables are offered in Slicer's selectors; without one an image cannot be drawn."""
    parameter_node = _grade(scene, nodes)
    outputs, display = outputs_of(parameter_node), nodes.volumes[Modality.FDG].GetDisplayNode()
    display.SetAndObserveColorNodeID(outputs.heat_colors.GetID())
    remove_outputs(scene, parameter_node)
    assert display.GetColorNode() is outputs.heat_colors
    assert outputs.effect_colors.GetScene() is None and outputs.weight_colors.GetScene() is None
    again = outputs_of(_grade(scene, nodes))
    assert again.heat_colors is not outputs.heat_colors, "its colors may be changed"


def test_the_result_folder_is_recognized_in_a_loaded_scene(scene, nodes, tmp_path):
    """Whatever name the user gave it."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    tree.SetItemName(folder_of(scene, outputs_of(_grade(scene, nodes)).regions), "renamed")
    save_scene(scene, tmp_path / "case.mrb")
    load_scene(scene, tmp_path / "case.mrb")
    (parameter_node,) = parameter_nodes(scene)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = folder_of(scene, outputs_of(parameter_node).regions)
    assert tree.GetItemName(folder) == "renamed"
    remove_outputs(scene, parameter_node)
    assert folder not in _items(tree)


def test_only_a_deleted_output_is_created_again(scene, nodes):
    parameter_node = _grade(scene, nodes)
    kept = outputs_of(parameter_node)
    scene.RemoveNode(kept.heat_map)
    assert outputs_of(parameter_node) is None
    again = outputs_of(_grade(scene, nodes))
    assert again.regions.GetID() == kept.regions.GetID()
    assert again.heat_map is not None


@pytest.mark.parametrize("role", ["Regions", "HeatMap", "ColorScale", "GraphNodes", "GraphEdges", "LiverOutline"])
def test_an_output_without_a_display_counts_as_missing_and_gets_one_again(scene, nodes, role):
    """As when the user deletes display nodes in the module Data. Assigning a deleted one crashes Slicer."""
    first = _grade(scene, nodes)
    node = first.GetNodeReference(role)
    for display in [node.GetNthDisplayNode(n) for n in reversed(range(node.GetNumberOfDisplayNodes()))]:
        scene.RemoveNode(display)
    outputs = outputs_of(first)
    assert outputs is None if role != "LiverOutline" else outputs.liver_outline is None
    if outputs is not None:
        show_as(outputs, read_report(first), ViewChoice())
    hide_other_cases(scene, None)
    again = outputs_of(_grade(scene, nodes))
    assert first.GetNodeReference(role) is node and node.GetDisplayNode() is not None
    show_as(again, read_report(first), ViewChoice(Overlay("voxels"), graph=True))


@pytest.mark.parametrize("role", ["HeatMap", "ColorScale"])
def test_an_output_whose_legend_alone_is_left_counts_as_missing_too(scene, nodes, role):
    """The legend is a display node as well, and then the first; it was taken for the display of the map."""
    first = _grade(scene, nodes)
    node = first.GetNodeReference(role)
    assert node.GetNumberOfDisplayNodes() == 2
    scene.RemoveNode(node.GetDisplayNode())
    assert outputs_of(first) is None
    _grade(scene, nodes)
    assert not node.GetDisplayNode().IsA("vtkMRMLColorLegendDisplayNode") and legend_of(node) is not None
    assert outputs_of(first) is not None and node.GetNumberOfDisplayNodes() == 2


def _second_segmentation(scene, nodes):
    """The same case with a copy of its segmentation."""
    copy = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Second reader")
    copy.GetSegmentation().DeepCopy(nodes.segmentation.GetSegmentation())
    copy.CreateDefaultDisplayNodes()
    return CaseNodes(nodes.volumes, copy)


def test_the_result_of_deleted_masks_is_replaced_by_that_of_others_on_the_same_images(scene, nodes):
    """It stayed hidden in the scene for ever, since no case has it; with the masks still there it is overwritten."""
    outputs, second = outputs_of(_grade(scene, nodes)), _second_segmentation(scene, nodes)
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "my regions")
    mine.GetSegmentation().DeepCopy(outputs.regions.GetSegmentation())
    nodes.volumes[Modality.FDG].GetDisplayNode().SetAndObserveColorNodeID(outputs.heat_colors.GetID())
    other = _grade(scene, nodes_from_case(scene, make_case()))
    scene.RemoveNode(nodes.segmentation)
    _grade(scene, second)
    assert len(parameter_nodes(scene)) == 2 and outputs_of(other) is not None, "that of another patient stays"
    assert outputs.regions.GetScene() is outputs.liver_outline.GetScene() is outputs.heat_map.GetScene() is None
    assert mine.GetScene() is scene and second.segmentation.GetScene() is scene
    assert outputs.heat_colors.GetScene() is scene, "an image of the user is drawn with it"


@pytest.mark.parametrize("deleted", ["the masks", "the reference image", "everything"])
def test_a_closed_case_of_a_list_takes_its_result_along_though_nodes_of_it_were_deleted(scene, nodes, deleted):
    """Otherwise the result of one patient stays in the scene with the next ones, and is saved with it."""
    other = _grade(scene, nodes_from_case(scene, make_case()))
    before = {node.GetID() for node in nodes_of_class(scene, "vtkMRMLNode")} - {node.GetID() for node in nodes.all()}
    _grade(scene, nodes, case_id="one")
    gone = {"the masks": [nodes.segmentation], "the reference image": [nodes.reference], "everything": nodes.all()}
    for node in gone[deleted]:
        remove_with_displays(scene, node)
    remove_case(scene, ListedNodes("one", nodes, None, ""))
    assert parameter_nodes(scene) == [other] and outputs_of(other) is not None
    left = [node for node in nodes_of_class(scene, "vtkMRMLNode") if node.GetID() not in before]
    assert not [node.GetName() for node in left if node.IsA("vtkMRMLDisplayableNode") or node.IsA("vtkMRMLTableNode")]
