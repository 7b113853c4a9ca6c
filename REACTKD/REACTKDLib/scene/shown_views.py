"""Finds the visible views: those in the current layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from REACTKDLib.scene.scene_nodes import nodes_of_class

SLICE_VIEW, THREE_D_VIEW = "vtkMRMLSliceNode", "vtkMRMLViewNode"
LEGEND_SIZE = (0.052, 0.34)  # share of the view's width and height; wider ones have larger letters, beyond the view
_LEAST = (34, 130)  # pixels: Slicer shrinks the letters until they fit into the legend
_MOST = 0.7  # of a view, so that its image is seen


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
    views = (three_d or shown_views(scene, SLICE_VIEW))[:1]
    show_only_in(legend, views)
    size = _legend_size(() if three_d or not views else views[0].GetDimensions()[:2])
    if not np.allclose(legend.GetSize(), size):
        legend.SetSize(*size)


def _legend_size(pixels: Sequence[int]) -> tuple[float, ...]:
    """Return width and height of a legend, as shares of a view's.

    pixels: width and height of a slice view, which may be small; empty for a 3D view, whose size no node states.
    """
    if not pixels or min(pixels) <= 0:
        return LEGEND_SIZE
    return tuple(min(max(share, least / n), _MOST) for share, least, n in zip(LEGEND_SIZE, _LEAST, pixels, strict=True))
