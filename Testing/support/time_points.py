"""Nodes that show one time point of a sequence at a time, as the module Sequences shows a dynamic series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer


def two_time_points(scene: Any, node: Any, change: Callable[[Any], Any]) -> Callable[[int], None]:
    """Make `node` show the first of two time points, the second of which differs by `change(node)`.

    Return a function that goes to time point 0 or 1. A time point shows the same voxels in memory whenever it is shown.
    """
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "time points")
    sequence.SetIndexName("time")
    sequence.SetDataNodeAtValue(node, "0")
    change(node)
    sequence.SetDataNodeAtValue(node, "1")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.AddProxyNode(node, sequence, False)
    browser.SetSaveChanges(sequence, True)  # the voxels are shared, not copied: edits belong to the time point

    def go(index: int) -> None:
        browser.SetSelectedItemNumber(index)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)

    go(0)
    return go
