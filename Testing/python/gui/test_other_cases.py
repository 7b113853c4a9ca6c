"""One case is shown at a time: the results and masks of other cases are hidden, and shown again with their case."""

from __future__ import annotations

from typing import Any

import pytest
import slicer

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.reading_layout import own_composites, users_composites
from REACTKDLib.scene.scene_nodes import remove_with_displays
from support.panel_steps import grade, segments_as_bytes, small_phantom, wait_for_annotations, wait_for_grade


def legends() -> list[Any]:
    """All visible legends, except the voxel map's, which is shown only where the map is a layer, as it is not here."""
    found = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    return [node for node in found if node.GetVisibility() and node.GetTitleText() != "Voxel map"]


def shown_segmentations() -> set[str]:
    """IDs of all visible segmentations; outlines over a PET come and go with the views."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    nodes = [node for node in nodes if "over a PET" not in node.GetName()]
    return {n.GetID() for n in nodes if n.GetDisplayNode() is not None and n.GetDisplayNode().GetVisibility()}


@pytest.fixture
def second(scene: Any, nodes: Any) -> Any:
    """A second patient in the scene, besides `nodes`."""
    from REACTKDLib.scene.case import nodes_from_case

    return nodes_from_case(scene, small_phantom(2))


def choose(user: Any, context: Any, case: Any) -> None:
    context.open_case(case)
    user.settle()


def test_the_result_of_the_previous_case_is_hidden_and_shown_again_with_it(
    user: Any, nodes: Any, second: Any, context: Any
) -> None:
    grade(user)
    before = segments_as_bytes(nodes.segmentation)
    first_regions, visible = context.outputs.regions.GetID(), shown_segmentations()
    assert first_regions in visible and len(legends()) == 1
    choose(user, context, second)
    assert nodes.segmentation.GetID() not in shown_segmentations() and first_regions not in shown_segmentations()
    assert second.segmentation.GetID() in shown_segmentations() and not legends()
    ct = second.volumes[Modality.CT]
    assert {c.GetBackgroundVolumeID() for c in users_composites(slicer.mrmlScene)} == {ct.GetID()}
    shown = {slicer.mrmlScene.GetNodeByID(c.GetBackgroundVolumeID()) for c in own_composites(slicer.mrmlScene, 1)}
    assert shown and all(node.GetImageData() is ct.GetImageData() for node in shown)
    user.screenshot("next-patient", of="window")
    grade(user)
    second_regions = context.outputs.regions.GetID()
    assert second_regions != first_regions
    assert len(legends()) == 1 and first_regions not in shown_segmentations()
    choose(user, context, nodes)
    assert first_regions in shown_segmentations() and second_regions not in shown_segmentations()
    assert second.segmentation.GetID() not in shown_segmentations() and len(legends()) == 1
    assert shown_segmentations() - {second.segmentation.GetID()} == visible - {second.segmentation.GetID()}
    assert segments_as_bytes(nodes.segmentation) == before


def test_an_ungraded_case_is_hidden_too_and_nodes_hidden_by_the_user_stay_hidden(
    user: Any, nodes: Any, second: Any, context: Any
) -> None:
    choose(user, context, second)
    assert nodes.segmentation.GetID() not in shown_segmentations()
    choose(user, context, nodes)
    assert nodes.segmentation.GetID() in shown_segmentations()
    assert second.segmentation.GetID() not in shown_segmentations()

    grade(user)
    context.set_view(legend=False)
    regions = context.outputs.regions
    regions.GetDisplayNode().SetVisibility(False)
    choose(user, context, second)
    choose(user, context, nodes)
    assert not regions.GetDisplayNode().GetVisibility() and not legends()


@pytest.mark.parametrize("deleted", ["regions", "heat_map", "table", "graph_nodes"])
def test_the_rest_of_a_partly_deleted_result_is_hidden_too(
    user: Any, nodes: Any, second: Any, context: Any, deleted: str
) -> None:
    """Otherwise the previous patient's grade in the legend would be taken for the next one's."""
    grade(user)
    context.set_view(graph=True)
    outputs = context.outputs
    drawn = [outputs.regions, outputs.liver_outline, outputs.graph_nodes, outputs.graph_edges]
    slicer.mrmlScene.RemoveNode(getattr(outputs, deleted))
    user.settle()
    choose(user, context, second)
    assert not legends()
    left = [node for node in drawn if node.GetScene() is not None]
    assert len(left) == {"regions": 2, "graph_nodes": 3}.get(deleted, 4), "the outline goes with the regions"
    assert not any(node.GetDisplayNode().GetVisibility() for node in left)
    choose(user, context, nodes)
    assert all(node.GetDisplayNode().GetVisibility() for node in left)


@pytest.fixture
def copy(nodes: Any) -> Any:
    """A second segmentation of the images of `nodes`."""
    made = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Second reader")
    made.GetSegmentation().DeepCopy(nodes.segmentation.GetSegmentation())
    made.CreateDefaultDisplayNodes()
    return made


def test_another_segmentation_of_the_same_images_is_no_other_case(user: Any, nodes: Any, copy: Any) -> None:
    user.open_section("inputsSection")
    user.choose("segmentationSelector", copy)
    assert nodes.segmentation.GetID() in shown_segmentations()


@pytest.mark.parametrize("when", ["while the other is graded", "before"])
def test_the_result_of_a_deleted_segmentation_goes_with_the_grade_of_another_one(
    user: Any, nodes: Any, copy: Any, context: Any, worker: Any, when: str
) -> None:
    scene = slicer.mrmlScene
    grade(user)
    wait_for_annotations(user)
    count, first = scene.GetNumberOfNodes(), context.outputs
    user.open_section("inputsSection")
    if when == "before":
        remove_with_displays(scene, nodes.segmentation)
        user.wait_until(lambda: context.nodes is None and not context.busy, what="the removal to be seen")
    user.choose("segmentationSelector", copy)
    with worker.answers_unread():
        user.click("gradeButton")
        if when != "before":
            remove_with_displays(scene, nodes.segmentation)
    wait_for_grade(user)
    wait_for_annotations(user)
    assert first.regions.GetScene() is None and context.outputs.regions.GetID() in shown_segmentations()
    assert len(legends()) == 1 and copy.GetScene() is scene
    assert scene.GetNumberOfNodes() == count - 2, "the deleted segmentation and its display, nothing else"


def test_the_voxel_map_of_the_previous_case_is_removed_from_the_slices(
    user: Any, nodes: Any, second: Any, context: Any
) -> None:
    from REACTKDLib.scene.overlay import Overlay

    grade(user)
    context.set_view(overlay=Overlay("voxels"))
    heat = context.outputs.heat_map.GetID()
    layers = [c.GetForegroundVolumeID() for c in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")]
    assert heat in layers
    choose(user, context, second)
    layers = [c.GetForegroundVolumeID() for c in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")]
    assert heat not in layers


@pytest.mark.parametrize("taken", ["segmentationSelector", "every image"])
@pytest.mark.parametrize("colors", ["effect", "voxels"])
def test_without_a_case_no_result_is_drawn_and_it_is_shown_again_with_the_case(
    user: Any, nodes: Any, context: Any, taken: str, colors: str
) -> None:
    """The panel then shows no grade, so colors and legend would be attributed to whatever is displayed."""
    from REACTKDLib.scene.overlay import Overlay

    grade(user)
    context.set_view(graph=True, overlay=Overlay("voxels") if colors == "voxels" else Overlay())
    wait_for_annotations(user)
    outputs = context.outputs
    before = drawn(outputs)
    assert len(before) >= (3 if colors == "voxels" else 4)
    user.open_section("inputsSection")
    selectors = {"ctSelector": Modality.CT, "fdgSelector": Modality.FDG, "acetateSelector": Modality.ACETATE}
    chosen = {name: nodes.volumes[modality] for name, modality in selectors.items()}
    chosen = chosen if taken == "every image" else {taken: nodes.segmentation}
    for name in chosen:
        user.choose(name, None)
    wait_for_annotations(user)
    assert not user.sees("gradeLabel") and not drawn(outputs)
    assert nodes.segmentation.GetID() in shown_segmentations()
    for name, node in chosen.items():
        user.choose(name, node)
    wait_for_annotations(user)
    assert user.sees("gradeLabel") and drawn(outputs) == before


def drawn(outputs: Any) -> set[str]:
    """What is visible of an answer: regions, graph, map and legends."""
    shown = [outputs.regions, outputs.liver_outline, outputs.graph_nodes, outputs.graph_edges]
    found = {node.GetID() for node in shown if node.GetDisplayNode().GetVisibility()}
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    layers = {composite.GetForegroundVolumeID() for composite in composites}
    found |= {legend.GetTitleText() for legend in legends()}
    return found | ({outputs.heat_map.GetID()} & layers)


def test_what_the_user_shows_of_another_case_stays_until_the_next_one(
    user: Any, nodes: Any, second: Any, context: Any
) -> None:
    """For comparing two studies: editing one must not hide the other again."""
    grade(user)
    regions = context.outputs.regions
    choose(user, context, second)
    for node in (nodes.segmentation, regions):
        node.GetDisplayNode().SetVisibility(True)
    context.read_inputs()  # as after each stroke
    assert nodes.segmentation.GetDisplayNode().GetVisibility() and regions.GetDisplayNode().GetVisibility()
    choose(user, context, nodes)
    choose(user, context, second)
    assert not nodes.segmentation.GetDisplayNode().GetVisibility() and not regions.GetDisplayNode().GetVisibility()
