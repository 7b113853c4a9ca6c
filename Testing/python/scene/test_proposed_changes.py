"""A proposed change is shown in place, distinguishable without red and green, and leaves no trace afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.worker.mending import Changes, Edit
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.proposed_changes import LOOKS, ProposedChanges
from REACTKDLib.scene.segments import choose_segments, mask_on
from REACTKDLib.scene.volumes import ijk_to_ras_of
from support.edits import erase, mask_of
from support.panel_steps import segments_as_bytes
from support.script_runs import run
from support.worlds import linear_transform, rigid


def test_added_removed_and_moved_voxels_are_distinguished():
    mask = np.ones((1, 1, 4), bool)
    edits = (
        Edit("Tumor", False, mask, (5, 5, 2)),  # 2 to 5
        Edit(None, True, mask, (5, 5, 4), "Lesion 2"),  # 4 to 7
        Edit("Liver", True, np.ones((1, 1, 1), bool), (6, 5, 9)),
    )
    changes = Changes.of(edits)
    assert changes.corner == (5, 5, 2) and changes.added.shape == (2, 1, 8)
    assert np.flatnonzero(changes.removed[0, 0]).tolist() == [0, 1]
    assert np.flatnonzero(changes.moved[0, 0]).tolist() == [2, 3]
    assert np.argwhere(changes.added).tolist() == [[0, 0, 4], [0, 0, 5], [1, 0, 7]]
    assert changes.place[:2] == (5, 5) and 2 <= changes.place[2] <= 5


def test_the_display_styles_differ_in_more_than_red_and_green():
    assert len({filled for _color, filled in (LOOKS["added"], LOOKS["removed"])}) == 2
    blues = [color[2] for color, _filled in LOOKS.values()]
    lightness = [float(np.dot(color, (0.21, 0.72, 0.07))) for color, _filled in LOOKS.values()]
    for values in (blues, lightness):
        assert np.diff(sorted(values)).min() > 0.15


@pytest.fixture
def slices(scene):
    nodes = [scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Green")]
    for n, node in enumerate(nodes):
        node.SetLayoutName(node.GetName())
        node.SetOrientation(("Axial", "Coronal")[n])
        node.SetFieldOfView(123.0 + n, 117.0, 1.0)
        node.SetXYZOrigin(3.0, 4.0 + n, 0.0)
        node.JumpSliceByCentering(11.0, -7.0, 23.0)
    yield nodes
    for node in nodes:
        scene.RemoveNode(node)  # singletons survive closing the scene


def places_of(slices) -> list[tuple]:
    return [
        (slicer.util.arrayFromVTKMatrix(n.GetSliceToRAS()).tolist(), n.GetFieldOfView(), n.GetXYZOrigin())
        for n in slices
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_the_changes_are_highlighted_and_the_display_is_restored(scene, fixer, nodes, slices, turned):
    if turned:
        move = linear_transform(scene, rigid((10, -20, 30), (5, 6, -7)))
        for node in nodes.all():
            node.SetAndObserveTransformNodeID(move.GetID())
    tumor = mask_on(nodes.segmentation, ["Tumor"], nodes.reference)
    erase(nodes.segmentation, "Liver", tumor, nodes.reference)
    choice = choose_segments(nodes.segmentation)
    before, count = segments_as_bytes(nodes.segmentation), scene.GetNumberOfNodes()
    places, shown = places_of(slices), ProposedChanges(scene)
    fixer.proposal_changed.connect(lambda p: shown.show(p) if p is not None else shown.clear())
    shown.remember_views()
    fixer.propose(nodes, choice, Finding("tumor-added-to-liver", "info", ""))
    run(fixer)
    assert fixer.error is None and shown.kinds == ("added",)
    assert np.array_equal(mask_on(shown.node, ["added"], nodes.reference), tumor)
    assert shown.milliliters("added") == pytest.approx(fixer.proposal.milliliters)
    world = slicer.util.arrayFromVTKMatrix(slices[0].GetSliceToRAS())[:3, 3]
    point = [0.0] * 3
    nodes.reference.TransformPointFromWorld(list(world), point)
    inverse = np.linalg.inv(ijk_to_ras_of(nodes.reference))
    k, j, i = np.rint(inverse @ [*point, 1.0])[:3].astype(int)[::-1]
    assert tumor[k, j, i], "the slices cross a voxel that changes"
    display = fixer.proposal.node.GetDisplayNode()
    shown.show_after(False)
    assert not display.GetVisibility() and shown._before.GetDisplayNode().GetVisibility()
    assert np.array_equal(
        mask_on(shown._before, ["Liver"], nodes.reference), mask_on(nodes.segmentation, ["Liver"], nodes.reference)
    )
    assert np.array_equal(mask_on(shown.node, ["added"], nodes.reference), tumor), "drawn anew, above the copy"
    shown.show_after(True)
    assert display.GetVisibility() and not shown._before.GetDisplayNode().GetVisibility()
    assert segments_as_bytes(nodes.segmentation) == before
    fixer.reject()
    assert places_of(slices) == places and segments_as_bytes(nodes.segmentation) == before
    left = scene.GetNumberOfNodes() - scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode")
    assert left <= count and shown.node is None


@pytest.mark.parametrize("decide", ["accept", "reject"])
@pytest.mark.parametrize("moved", ["to another place", "along", "aside", "turned", "resized"])
def test_slices_moved_meanwhile_stay_where_they_are(scene, fixer, nodes, slices, moved, decide):
    """If the user has moved on, the slices are not moved back; a resized view is not moved."""
    tumor = mask_on(nodes.segmentation, ["Tumor"], nodes.reference)
    erase(nodes.segmentation, "Liver", tumor, nodes.reference)
    places, shown = places_of(slices), ProposedChanges(scene)
    fixer.proposal_changed.connect(lambda p: shown.show(p) if p is not None else shown.clear())
    shown.remember_views()
    fixer.propose(nodes, choose_segments(nodes.segmentation), Finding("tumor-added-to-liver", "info", ""))
    run(fixer)
    view = slices[1]
    if moved == "to another place":
        jump_to(nodes.reference, (0.0, 0.0, 0.0))
    elif moved == "along":
        view.SetSliceOffset(view.GetSliceOffset() + 5.0)
    elif moved == "aside":
        view.SetXYZOrigin(9.0, 9.0, 0.0)
    elif moved == "turned":
        view.SetOrientation("Sagittal")
    else:
        view.SetFieldOfView(200.0, 90.0, 1.0)
    there = places_of(slices)
    fixer.accept() if decide == "accept" else fixer.reject()
    assert places_of(slices) == (places if moved == "resized" else there)


def test_a_split_is_shown_as_moved(scene, fixer, nodes):
    shown = ProposedChanges(scene)
    fixer.proposal_changed.connect(lambda p: shown.show(p) if p is not None else shown.clear())
    fixer.split(nodes, choose_segments(nodes.segmentation))
    run(fixer)
    assert shown.kinds == ("moved",)
    display = shown.node.GetDisplayNode()
    assert (
        display.GetSegmentVisibility2DFill("moved")
        and tuple(shown.node.GetSegmentation().GetSegment("moved").GetColor()) == LOOKS["moved"][0]
    )
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    moved = mask_on(shown.node, ["moved"], nodes.reference)
    assert moved.any() and (moved & ~tumor).sum() == 0
    scene.Clear(0)
    shown.forget()
    assert fixer.proposal is None and shown.proposal is None
