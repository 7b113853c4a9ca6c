"""Nodes of a scene by their class, and those of the module's own by the mark that it put on them."""

from __future__ import annotations

from typing import Any


def nodes_of_class(scene: Any, kind: str) -> list[Any]:
    """Return the nodes of a class, or of one derived from it, in the scene's order."""
    return [scene.GetNthNodeByClass(index, kind) for index in range(scene.GetNumberOfNodesByClass(kind))]


def marked_nodes(scene: Any, kind: str, mark: str) -> list[Any]:
    """Return the nodes of a class that have the attribute `mark`."""
    return [node for node in nodes_of_class(scene, kind) if node.GetAttribute(mark)]


def new_marked_node(scene: Any, kind: str, name: str, mark: str, value: str) -> Any:
    """Return a node for views alone, not in the scene yet: no list offers it and no file holds it."""
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetAttribute(mark, value)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return node


def remove_with_displays(scene: Any, node: Any) -> None:
    """Remove a node and its display nodes, color legends among them.

    A volume goes first: a slice view that still shows one without a display node makes it a new one, and looks for its
    window in every voxel, which takes a quarter of a second for a CT.
    """
    displays = []
    if node.IsA("vtkMRMLDisplayableNode"):
        displays = [node.GetNthDisplayNode(index) for index in reversed(range(node.GetNumberOfDisplayNodes()))]
    if node.IsA("vtkMRMLVolumeNode"):
        scene.RemoveNode(node)
    for display in filter(None, displays):
        scene.RemoveNode(display)
    if not node.IsA("vtkMRMLVolumeNode"):
        scene.RemoveNode(node)
