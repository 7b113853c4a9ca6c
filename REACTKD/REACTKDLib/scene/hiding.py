"""Temporary hiding of displays: each hidden display has marks with the reason, so that it can be shown again.

Only the visibility changes, never the node. Displays that the user had hidden have no mark and stay hidden; marks are
saved with the scene. A display with several marks is shown when the last one is removed.
"""

from __future__ import annotations

from typing import Any

from REACTKDLib.scene.scene_nodes import marked_nodes

OTHER_CASE = "REACTKD.HiddenForOtherCase"
ANSWER = "REACTKD.HiddenForAnswer"
PROPOSAL = "REACTKD.HiddenForProposal"
OTHER_MODULE = "REACTKD.HiddenForOtherModule"
_MARKS = (OTHER_CASE, ANSWER, PROPOSAL, OTHER_MODULE)


def hide(display: Any, mark: str) -> None:
    """Hide a display node with a mark; one that is hidden without any mark is left as it is."""
    if display.GetVisibility() or _is_marked(display):
        display.SetVisibility(False)
        display.SetAttribute(mark, "1")


def show(display: Any, mark: str) -> bool:
    """Remove a mark, and show the display if it was the last one. Returns whether it had the mark."""
    if not display.GetAttribute(mark):
        return False
    display.RemoveAttribute(mark)
    if not _is_marked(display):
        display.SetVisibility(True)
    return True


def hide_only(scene: Any, mark: str, segmentation: Any | None) -> None:
    """Hide a segmentation with a mark, and show every other one that has the mark; None: show them all.

    One that has the mark but was shown by hand since is left as it is.
    """
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    for other in marked_nodes(scene, "vtkMRMLSegmentationDisplayNode", mark):
        if other is not display:
            show(other, mark)
    if display is not None and not display.GetAttribute(mark):
        hide(display, mark)


def _is_marked(display: Any) -> bool:
    return any(display.GetAttribute(mark) for mark in _MARKS)
