"""Finds nodes of a scene by class, and the module's own by their mark."""

from __future__ import annotations

from typing import Any

#: marks the nodes of `new_unlisted_node`, which a user's hidden nodes are not
_TEMPORARY = "REACTKD.Temporary"


def nodes_of_class(scene: Any, kind: str) -> list[Any]:
    """Return the nodes of a class, or of one derived from it, in the scene's order."""
    return [scene.GetNthNodeByClass(index, kind) for index in range(scene.GetNumberOfNodesByClass(kind))]


def marked_nodes(scene: Any, kind: str, mark: str) -> list[Any]:
    """Return the nodes of a class that have the attribute `mark`."""
    return [node for node in nodes_of_class(scene, kind) if node.GetAttribute(mark)]


def free_name(scene: Any, name: str) -> str:
    """Return `name`, with a number behind it only if a node has it.

    Slicer's GenerateUniqueName also counts names of nodes that were removed.
    """
    return name if scene.GetFirstNodeByName(name) is None else scene.GenerateUniqueName(name)


def new_unlisted_node(scene: Any, kind: str, name: str) -> Any:
    """Return a node that is neither offered in selectors nor saved; not yet in the scene.

    It is hidden before it is added, since a selector without a node may take the first that is added.
    """
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(_TEMPORARY, "1")
    return node


def is_temporary(node: Any) -> bool:
    """Return True for a node of `new_unlisted_node`, which is removed again by what made it."""
    return bool(node.GetAttribute(_TEMPORARY))


def new_marked_node(scene: Any, kind: str, name: str, mark: str, value: str) -> Any:
    """Return a node as of `new_unlisted_node` that has the attribute `mark`."""
    node = new_unlisted_node(scene, kind, name)
    node.SetAttribute(mark, value)
    return node


def displays_of(node: Any) -> list[Any]:
    """Return the display nodes of a displayable node, including color legends, in their order."""
    found = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
    return [display for display in found if display is not None]


def remove_with_displays(scene: Any, node: Any) -> None:
    """Remove a node and its display nodes, including color legends.

    A volume is removed first: a slice view that shows it without a display node would create one, and compute its
    window from every voxel, which takes a quarter of a second for a CT.
    """
    displays = displays_of(node)[::-1] if node.IsA("vtkMRMLDisplayableNode") else []
    if node.IsA("vtkMRMLVolumeNode"):
        scene.RemoveNode(node)
    for display in displays:
        scene.RemoveNode(display)
    if not node.IsA("vtkMRMLVolumeNode"):
        scene.RemoveNode(node)
