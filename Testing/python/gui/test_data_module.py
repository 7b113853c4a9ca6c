"""Results, and what users do with them in Slicer's module Data: hide, delete, clone, move and rename."""

from __future__ import annotations

from typing import Any

import pytest
import slicer

from support.data_module import delete, names, set_folder, top_folder
from support.panel_steps import grade, wait_for_annotations

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
