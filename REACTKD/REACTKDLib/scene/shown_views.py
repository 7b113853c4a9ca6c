"""Finds the visible views: those in the current layout."""

from __future__ import annotations

from typing import Any

from REACTKDLib.scene.scene_nodes import nodes_of_class

SLICE_VIEW, THREE_D_VIEW = "vtkMRMLSliceNode", "vtkMRMLViewNode"


def shown_views(scene: Any, kind: str) -> list[Any]:
    """Return the view nodes of a class that the layout shows, in the scene's order."""
    return [node for node in nodes_of_class(scene, kind) if node.IsMappedInLayout()]


def show_only_in(display: Any, views: list[Any]) -> None:
    """Restrict a display node to some views; an empty list removes the restriction, as without a layout. Idempotent."""
    wanted = [view.GetID() for view in views]
    if [display.GetNthViewNodeID(index) for index in range(display.GetNumberOfViewNodeIDs())] == wanted:
        return
    hold = display.StartModify()
    display.RemoveAllViewNodeIDs()
    for view_id in wanted:
        display.AddViewNodeID(view_id)
    display.EndModify(hold)


def place_legend(legend: Any) -> None:
    """Show a color legend in only one view: a 3D view, where corners are free, else the first slice view.

    The legend of a volume is shown in a slice view, since it is visible only where the volume is a layer.
    """
    scene = legend.GetScene()
    of_volume = legend.GetDisplayableNode() is not None and legend.GetDisplayableNode().IsA("vtkMRMLVolumeNode")
    three_d = [] if of_volume else shown_views(scene, THREE_D_VIEW)
    show_only_in(legend, (three_d or shown_views(scene, SLICE_VIEW))[:1])
