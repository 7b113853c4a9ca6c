"""What the module hides for a while: each display has a mark that says what for, so that it can be shown again.

Only whether a node is shown changes, never the node. What a user had hidden before has no mark and stays hidden; the
marks are saved with the scene. A display that several things hide is shown when the last of them has gone.
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
    """Hide a display node with a mark; what is hidden without any is left as it is."""
    if display.GetVisibility() or _is_marked(display):
        display.SetVisibility(False)
        display.SetAttribute(mark, "1")


def show(display: Any, mark: str) -> bool:
    """Take a mark away, and show the display when it was the last one. Returns whether it had the mark."""
    if not display.GetAttribute(mark):
        return False
    display.RemoveAttribute(mark)
    if not _is_marked(display):
        display.SetVisibility(True)
    return True


def hide_only(scene: Any, mark: str, segmentation: Any | None) -> None:
    """Hide a segmentation with a mark, and show every other one that has the mark; None: show them all.

    One that has the mark already and was shown by hand since is left as it is.
    """
    display = segmentation.GetDisplayNode() if segmentation is not None else None
    for other in marked_nodes(scene, "vtkMRMLSegmentationDisplayNode", mark):
        if other is not display:
            show(other, mark)
    if display is not None and not display.GetAttribute(mark):
        hide(display, mark)


def _is_marked(display: Any) -> bool:
    return any(display.GetAttribute(mark) for mark in _MARKS)
