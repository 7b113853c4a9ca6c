"""What a user does in Slicer's module Data: the eye, the opacity, Clone, Delete and drag and drop of its tree."""

from __future__ import annotations

from typing import Any

import slicer
import vtk


def tree() -> Any:
    """The subject hierarchy of the scene."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def names(parent: int | None = None) -> list[str]:
    """The names of the items that the module shows in a folder; None: at the top."""
    children = vtk.vtkIdList()
    tree().GetItemChildren(parent or tree().GetSceneItemID(), children)
    items = [children.GetId(index) for index in range(children.GetNumberOfIds())]
    nodes = {item: tree().GetItemDataNode(item) for item in items}
    return [tree().GetItemName(item) for item, node in nodes.items() if node is None or not node.GetHideFromEditors()]


def top_folder(name: str) -> int:
    """The item of a folder at the top, or 0."""
    return tree().GetItemChildWithName(tree().GetSceneItemID(), name)


def set_folder(folder: int, visible: bool = True, opacity: float = 1.0) -> None:
    """Click the eye of a folder, and move its opacity slider: both belong to a display node, made on first use."""
    display = slicer.vtkMRMLFolderDisplayNode.AddDisplayNodeForItem(tree(), folder)
    display.SetVisibility(visible)
    display.SetOpacity(opacity)


def delete(item: int) -> None:
    """Delete an item with everything below it."""
    tree().RemoveItem(item, True, True)


def clone(node: Any) -> Any:
    """Clone a node and return the copy."""
    logic = slicer.vtkSlicerSubjectHierarchyModuleLogic
    return tree().GetItemDataNode(logic.CloneSubjectHierarchyItem(tree(), tree().GetItemByDataNode(node)))


def move(node: Any, parent: int) -> None:
    """Drag a node into a folder, a patient or a study."""
    tree().SetItemParent(tree().GetItemByDataNode(node), parent)
