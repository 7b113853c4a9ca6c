"""Results, and what users do with them in Slicer's module Data: hide, delete, clone, move and rename."""

from __future__ import annotations

from typing import Any

import pytest
import slicer

from support.data_module import clone, delete, move, names, set_folder, top_folder, tree
from support.panel_steps import grade, panel_of, wait_for_annotations

FOLDER = "REACTKD CT"


@pytest.fixture
def graded(user: Any, nodes: Any) -> Any:
    grade(user)
    wait_for_annotations(user)
    return nodes


def drawn() -> list[str]:
    """The nodes of this module that a view of the layout draws."""
    views = [view for kind in ("Slice", "View") for view in slicer.util.getNodesByClass(f"vtkMRML{kind}Node")]
    views = [view.GetID() for view in views if view.IsMappedInLayout()]
    found = [node for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode") if "REACTKD" in node.GetName()]
    return sorted(node.GetName() for node in found if any(_draws(node, view) for view in views))


def _draws(node: Any, view: str) -> bool:
    displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
    return any(
        display.GetVisibility(view)
        and (not node.IsA("vtkMRMLVolumeNode") or display.IsA("vtkMRMLColorLegendDisplayNode"))
        for display in displays
    )


@pytest.mark.parametrize("module", ["REACTKD", "SegmentEditor"])
def test_the_eye_of_the_folder_hides_and_shows_the_whole_result(
    application: Any, user: Any, graded: Any, module: str
) -> None:
    """Names and outlines are in no folder, so Slicer does not hide them with it."""
    application.select_module(module)
    wait_for_annotations(user)
    before = drawn()
    assert {"REACTKD regions", "REACTKD lesion names"} < set(before)
    set_folder(top_folder(FOLDER), visible=False)
    user.wait_until(lambda: not drawn(), what="the result to go")
    set_folder(top_folder(FOLDER), visible=True)
    wait_for_annotations(user)
    assert drawn() == before


def test_a_hidden_result_stays_hidden_when_it_is_graded_again(user: Any, graded: Any) -> None:
    set_folder(top_folder(FOLDER), visible=False)
    grade(user)
    wait_for_annotations(user)
    assert drawn() == []


def test_the_outlines_fade_with_the_folder(user: Any, graded: Any, context: Any) -> None:
    set_folder(top_folder(FOLDER), opacity=0.25)
    wait_for_annotations(user)
    faded = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "outline" in node.GetName()]
    faded += [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "PET" in node.GetName()]
    assert len(faded) >= 5 and {node.GetDisplayNode().GetOpacity() for node in faded} == {0.25}


def test_a_deleted_folder_leaves_nothing_in_the_views_and_a_new_result_has_plain_names(
    user: Any, graded: Any, context: Any
) -> None:
    listed = sorted(names(top_folder(FOLDER)))
    delete(top_folder(FOLDER))
    user.wait_until(lambda: not drawn(), what="the result to go")
    assert FOLDER not in names()
    grade(user)
    wait_for_annotations(user)
    assert sorted(names(top_folder(FOLDER))) == listed


def test_a_removed_result_leaves_no_folder_whose_eye_was_used(user: Any, graded: Any, context: Any) -> None:
    """The eye of a folder is a node; it would be saved with the scene, again for each result."""
    from REACTKDLib.scene.outputs import remove_outputs

    set_folder(top_folder(FOLDER), visible=False)
    remove_outputs(slicer.mrmlScene, context.parameter_node)
    assert not slicer.util.getNodesByClass("vtkMRMLFolderDisplayNode") and FOLDER not in names()


def test_what_the_user_moved_in_the_tree_stays_there(user: Any, graded: Any, context: Any) -> None:
    """Into a folder, under a study or with its folder; a node that is made again joins the others."""
    outputs, top = context.outputs, tree().GetSceneItemID()
    study = tree().CreateStudyItem(tree().CreateSubjectItem(top, "patient"), "study")
    ours, mine = top_folder(FOLDER), tree().CreateFolderItem(top, "mine")
    tree().SetItemParent(ours, study)
    move(outputs.regions, mine)
    move(outputs.table, study)
    slicer.mrmlScene.RemoveNode(outputs.heat_map)
    grade(user)
    places = {name: names(parent) for name, parent in (("mine", mine), ("study", study), ("ours", ours))}
    assert places["mine"] == ["REACTKD regions"] and places["study"] == [FOLDER, "REACTKD region table"]
    assert sorted(places["ours"]) == [
        f"REACTKD {name}" for name in ("color scale", "graph edges", "graph nodes", "voxel map")
    ]
    for node in (outputs.scale, outputs.graph_nodes, outputs.graph_edges, context.outputs.heat_map):
        move(node, study)
    delete(ours)
    grade(user)
    assert FOLDER not in (*names(), *names(study)), "no empty folder is made"


def test_segments_of_the_result_that_the_user_hid_stay_hidden_until_the_next_grade(
    application: Any, user: Any, graded: Any, context: Any
) -> None:
    """A new result may have other lesions under the same numbers, so that it shows all of them."""
    regions = context.outputs.regions
    display, ids = regions.GetDisplayNode(), regions.GetSegmentation().GetSegmentIDs()
    shown = lambda: [segment for segment in ids if display.GetSegmentVisibility(segment)]  # noqa: E731
    for segment in (*ids[:1], *ids[2:]):
        display.SetSegmentVisibility(segment, False)
    application.select_module("SegmentEditor")
    application.select_module("REACTKD")
    wait_for_annotations(user)
    assert shown() == [ids[1]]
    context.set_view(opacity=0.8)
    assert shown() == [ids[1]] and "REACTKD liver outline" not in drawn()
    grade(user)
    assert shown() == list(ids)


@pytest.mark.parametrize("module", ["REACTKD", "SegmentEditor"])
def test_names_follow_segments_that_are_deleted_or_renamed(
    application: Any, user: Any, graded: Any, context: Any, module: str
) -> None:
    def labels() -> set[str]:
        marks = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        marks = [mark for mark in marks if mark.GetDisplayNode().GetVisibility()]
        return {mark.GetNthControlPointLabel(n) for mark in marks for n in range(mark.GetNumberOfControlPoints())}

    def named() -> bool:
        lesions = [segment for segment in data.GetSegmentIDs() if segment != ids[0]]
        return labels() == {data.GetSegment(segment).GetName() for segment in lesions}

    application.select_module(module)
    data = context.outputs.regions.GetSegmentation()
    ids = data.GetSegmentIDs()
    user.wait_until(named, what="the names")
    data.GetSegment(ids[1]).SetName("Metastasis")
    user.wait_until(named, what="the new name")
    assert "Metastasis" in labels()
    data.RemoveSegment(ids[2])
    user.wait_until(named, what="the name to go")
    assert len(labels()) == len(ids) - 2
    data.RemoveAllSegments()
    user.wait_until(lambda: not drawn_outlines() and not labels(), what="names and outlines to go")
    application.select_module("REACTKD")
    grade(user)
    wait_for_annotations(user)
    assert len(labels()) == len(ids) - 1 and drawn_outlines()


def drawn_outlines() -> list[str]:
    return [name for name in drawn() if "outline" in name]


def test_a_result_whose_display_was_removed_leaves_no_outline(user: Any, graded: Any, context: Any) -> None:
    slicer.mrmlScene.RemoveNode(context.outputs.regions.GetDisplayNode())
    user.wait_until(lambda: not drawn_outlines(), what="the outline to go")
    grade(user)
    wait_for_annotations(user)
    assert drawn_outlines()


@pytest.mark.parametrize("module", ["REACTKD", "SegmentEditor"])
def test_a_patient_with_images_masks_and_result_is_hidden_and_deleted_as_a_whole(
    application: Any, user: Any, graded: Any, context: Any, module: str
) -> None:
    application.select_module(module)
    wait_for_annotations(user)
    before, patient = drawn(), tree().CreateSubjectItem(tree().GetSceneItemID(), "patient")
    tree().SetItemParent(top_folder(FOLDER), patient)
    for node in graded.all():
        move(node, patient)
    set_folder(patient, visible=False)
    user.wait_until(lambda: not drawn(), what="the result to go")
    set_folder(patient, visible=True)
    wait_for_annotations(user)
    assert drawn() == before
    delete(patient)
    user.wait_until(lambda: not drawn(), what="the result to go")
    assert names() == []
    application.select_module("REACTKD")
    user.wait_until(lambda: context.nodes is None, what="the case to go")
    assert user.text("stateLabel") == "Choose a segmentation and at least one image." and context.report is None


def test_clones_are_nodes_of_the_user(user: Any, graded: Any, context: Any) -> None:
    """Of inputs and of results: the case stays as it was, and a clone stays when the result is removed."""
    from REACTKDLib.scene.outputs import remove_outputs

    originals = (*graded.all(), context.outputs.regions, context.outputs.heat_map, context.outputs.table)
    clones = [clone(node) for node in originals]
    timer = panel_of(user).nodes_timer
    user.wait_until(lambda: not timer.active, what="a look at the new nodes")
    assert context.nodes == graded and not context.outdated and not user.sees("stateLabel")
    grade(user)
    assert context.nodes == graded and [context.outputs.regions, context.outputs.heat_map] == list(originals[-3:-1])
    remove_outputs(slicer.mrmlScene, context.parameter_node)
    assert all(copy.GetScene() is not None for copy in clones)
    assert names(top_folder(FOLDER)) == [f"{node.GetName()} Copy" for node in originals[-3:]]
