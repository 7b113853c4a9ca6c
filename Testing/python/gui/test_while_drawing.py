"""What the views show between the numbers of a grade and its end, while the worker draws surfaces and the voxel map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import slicer

from REACTKDLib.scene.reading_layout import OWN_SLICES, THREE_D
from support.edits import ball, erase, paint
from support.panel_steps import GRADE_S, grade, wait_for_annotations


@pytest.fixture
def seen_while_drawing(user: Any, widget: Any, context: Any, monkeypatch: Any) -> Callable[[Callable[[], Any]], list]:
    """A function that presses Grade and returns what `look` saw each time the worker was drawing for the views."""
    monkeypatch.setattr("REACTKDLib.scene.script_runner.SLICE_S", 0.0)  # one step of the writing at a time
    monkeypatch.setattr("REACTKDLib.gui.panel.SLICE_S", 5.0)  # then every section does what it is to do

    def collect(look: Callable[[], Any]) -> list:
        controller, seen = context.controller, []

        def at_turn() -> None:
            if controller._unbroken and controller._ticket is not None:
                seen.append(look())

        with turns(widget.panel, at_turn):
            user.click("gradeButton")
            user.wait_until(lambda: not context.busy, GRADE_S, "the grade")
        assert controller.error is None and len(seen) >= 2, "surfaces, then the map"
        wait_for_annotations(user)
        return seen

    return collect


@contextmanager
def turns(panel: Any, after: Callable[[], Any]) -> Iterator[None]:
    """Call `after` at the end of each turn of the panel's timer, when the window may be painted."""
    panel.timer.connect("timeout()", after)
    yield
    panel.timer.disconnect("timeout()", after)


def lesions(context: Any) -> tuple[str, ...]:
    """The lesions that the views draw."""
    data = context.outputs.regions.GetSegmentation()
    return tuple(data.GetSegment(one).GetName() for one in data.GetSegmentIDs())[1:]


def names_on_show() -> set[tuple[str, ...]]:
    """The names beside the lesions, of each view with names."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    shown = [node for node in nodes if node.GetDisplayNode().GetVisibility()]
    return {tuple(node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())) for node in shown}


def surfaces_drawn(context: Any) -> bool:
    """Whether 3D views have a surface of every lesion."""
    data = context.outputs.regions.GetSegmentation()
    parts = [data.GetSegment(one).GetRepresentation("Closed surface") for one in data.GetSegmentIDs()]
    return all(part.GetNumberOfPoints() for part in parts)


@pytest.mark.parametrize("change", ["a lesion less", "a lesion more"])
def test_no_name_of_the_former_lesions_stands_beside_the_new_ones(
    user: Any, nodes: Any, context: Any, seen_while_drawing: Any, change: str
) -> None:
    """Lesions are renumbered when their number changes: until the map was drawn, names were those of other lesions."""
    grade(user)
    wait_for_annotations(user)
    before, regions = lesions(context), context.report.regions
    if change == "a lesion less":
        erase(nodes.segmentation, "Tumor", ball(nodes.reference, regions[1].centroid_ras_mm, 60.0), nodes.reference)
    else:
        paint(nodes.segmentation, "Tumor", ball(nodes.reference, regions[0].centroid_ras_mm, 9.0), nodes.reference)
    seen = seen_while_drawing(lambda: (surfaces_drawn(context), lesions(context), names_on_show()))
    after = lesions(context)
    assert len(after) != len(before) and {drawn for drawn, _lesions, _names in seen} == {False, True}
    for drawn, at_hand, names in seen:
        assert at_hand == after and names == ({after} if drawn else set())
    assert names_on_show() == {after}


def test_names_stay_while_an_edit_that_renumbers_no_lesion_is_drawn(
    user: Any, nodes: Any, context: Any, seen_while_drawing: Any
) -> None:
    grade(user)
    wait_for_annotations(user)
    center = context.report.regions[1].centroid_ras_mm
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, center, 18.0), nodes.reference)
    seen = seen_while_drawing(names_on_show)
    assert all(names == {lesions(context)} for names in seen)


def places() -> list[tuple[float, ...]]:
    """The places that the module's slices and 3D view show."""
    own = [slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode() for name in OWN_SLICES[:3]]
    slices = [tuple(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]) for node in own]
    cameras = slicer.util.getNodesByClass("vtkMRMLCameraNode")
    camera = next(node for node in cameras if node.GetLayoutName() == THREE_D)
    return [*slices, camera.GetFocalPoint(), camera.GetPosition()]


def test_the_first_result_is_framed_and_seen_without_the_masks_before_its_map_is_drawn(
    user: Any, nodes: Any, context: Any, seen_while_drawing: Any
) -> None:
    """The user's masks were over the regions, in colors that are in no legend; then every view moved."""

    def look() -> tuple:
        return surfaces_drawn(context), nodes.segmentation.GetDisplayNode().GetVisibility(), places()

    assert nodes.segmentation.GetDisplayNode().GetVisibility()
    seen = seen_while_drawing(look)
    assert {drawn for drawn, _masks, _places in seen} == {False, True}
    assert not any(masks for _drawn, masks, _places in seen)
    assert all(there == places() for drawn, _masks, there in seen if drawn)
