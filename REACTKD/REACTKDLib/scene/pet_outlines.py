"""Outlines of regions over a PET, which leave the uptake visible and are readable on white and on hot colors.

The views that show a PET display segmentation nodes of this module that share the segments but have their own display;
all other views display the results themselves. (Two display nodes on one segmentation crash Slicer's libraries.)

They have no item in the tree of the module Data. With the item of a removed segmentation, Slicer's plugin removes its
segments, which here are those of the result; and an item is saved although its node is not. Without one, the plugin
logs an error for each change of segments and display.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer
import vtk

from REACTKDLib.scene.folder import is_shown, opacity_of
from REACTKDLib.scene.scene_nodes import marked_nodes, new_marked_node, nodes_of_class, remove_with_displays
from REACTKDLib.scene.shown_views import SLICE_VIEW, THREE_D_VIEW, show_only_in

_MARK, _KIND, _CLASS = "REACTKD.OverPet", "REACTKD.Kind", "vtkMRMLSegmentationNode"
_SHARE = "REACTKD.Share"  # of the color of the segments, for `follow_on_pet`
_ON_WHITE = 0.72  # weight of a color on a white background: the hue is kept, and near-white becomes gray
_THICKNESS = {"outline": 3, "edge": 4}  # pixels, inward: small lesions stay visible; the black edge is below


def outline_on_pet(segmentation: Any, views: list[Any], on_white: bool) -> Iterator[None]:
    """Show a segmentation as outlines in `views` (slice view nodes that show a PET), and as usual in all others.

    on_white: the PET is inverted gray with nothing under it. No views: existing outlines are hidden. Idempotent. Yields
    after each created node, which is drawn on top; all of them are shown in one step, in place of the regions.
    """
    scene, main = segmentation.GetScene(), segmentation.GetDisplayNode()
    if scene is None or main is None:
        return
    twins = {twin.GetAttribute(_KIND): twin for twin in _twins_of(segmentation)}
    if not views:
        show_only_in(main, [])
        for twin in twins.values():  # kept for the next PET: creating a node takes longer than keeping it
            twin.GetDisplayNode().SetVisibility(False)
        return
    shares = {"edge": 0.0, "outline": _ON_WHITE if on_white else 1.0}  # the first is below
    for kind, share in shares.items():
        if kind not in twins:
            twins[kind] = _made(scene, segmentation, kind, share)
            yield
            if segmentation.GetScene() is None:
                return  # the case has left since the last step
    taken = {view.GetID() for view in views}
    show_only_in(main, [view for view in _all_views(scene) if view.GetID() not in taken])
    for kind, share in shares.items():
        twin = twins[kind]
        if twin.GetTransformNodeID() != segmentation.GetTransformNodeID():
            twin.SetAndObserveTransformNodeID(segmentation.GetTransformNodeID())
        show_only_in(twin.GetDisplayNode(), views)
        twin.SetAttribute(_SHARE, str(share))
        shown = is_shown(segmentation) and not (on_white and kind == "edge")
        _copy(segmentation, main, twin.GetDisplayNode(), share, shown)


def follow_on_pet(segmentation: Any) -> None:
    """Give the outlines over a PET the colors of the segments, which may be new; where they are drawn stays."""
    for twin in _twins_of(segmentation):
        own = twin.GetDisplayNode()
        _copy(segmentation, segmentation.GetDisplayNode(), own, float(twin.GetAttribute(_SHARE)), own.GetVisibility())


def _twins_of(segmentation: Any) -> list[Any]:
    twins = marked_nodes(segmentation.GetScene(), _CLASS, _MARK)
    return [twin for twin in twins if twin.GetAttribute(_MARK) == segmentation.GetID()]


def forget_pet_outlines(scene: Any, keep: set[str] = frozenset()) -> None:
    """Remove the nodes of this file, except those for the segmentations with these IDs. Idempotent."""
    for twin in marked_nodes(scene, _CLASS, _MARK):
        if twin.GetAttribute(_MARK) not in keep:
            source = scene.GetNodeByID(twin.GetAttribute(_MARK))
            if source is not None and source.GetDisplayNode() is not None:
                show_only_in(source.GetDisplayNode(), [])
            remove_with_displays(scene, twin)


def _copy(segmentation: Any, main: Any, own: Any, share: float, visible: bool) -> None:
    data = segmentation.GetSegmentation()
    hold = own.StartModify()
    own.SetVisibility(visible)
    own.SetOpacity(opacity_of(segmentation))
    for segment_id in data.GetSegmentIDs():
        color = [share * part for part in data.GetSegment(segment_id).GetColor()]
        if [round(part, 4) for part in own.GetSegmentColor(segment_id)] != [round(part, 4) for part in color]:
            own.SetSegmentOverrideColor(segment_id, vtk.vtkVector3d(*color))
        own.SetSegmentVisibility(segment_id, main.GetSegmentVisibility(segment_id))
        own.SetSegmentVisibility2DOutline(segment_id, main.GetSegmentVisibility2DOutline(segment_id))
        full = share == _ON_WHITE  # a thin gray line is invisible on white
        own.SetSegmentOpacity2DOutline(segment_id, 1.0 if full else main.GetSegmentOpacity2DOutline(segment_id))
    own.EndModify(hold)


def _made(scene: Any, segmentation: Any, kind: str, share: float) -> Any:
    twin = new_marked_node(scene, _CLASS, f"{segmentation.GetName()} over a PET", _MARK, segmentation.GetID())
    twin.SetAttribute(_KIND, kind)
    twin.SetAttribute(_SHARE, str(share))
    display = slicer.vtkMRMLSegmentationDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility(False)
    display.SetVisibility3D(False)
    display.SetVisibility2DFill(False)
    display.SetOpacity2DOutline(1.0)
    display.SetSliceIntersectionThickness(_THICKNESS[kind])
    display.SetPreferredDisplayRepresentationName2D(
        segmentation.GetDisplayNode().GetPreferredDisplayRepresentationName2D()
    )
    twin = scene.AddNode(twin)
    twin.SetAndObserveSegmentation(segmentation.GetSegmentation())
    scene.AddNode(display)
    twin.SetAndObserveDisplayNodeID(display.GetID())
    return twin


def _all_views(scene: Any) -> list[Any]:
    kinds = (SLICE_VIEW, THREE_D_VIEW)
    return [node for kind in kinds for node in nodes_of_class(scene, kind)]
