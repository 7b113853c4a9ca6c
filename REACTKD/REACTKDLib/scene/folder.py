"""The subject hierarchy folder with the results of a case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import slicer

#: attribute of folders that we created. It is saved with the scene, so that a user's folder is never taken for ours
_MADE = "REACTKD.MadeByModule"


def put_in_folder(scene: Any, name: str, nodes: Iterable[Any]) -> int:
    """Put those of `nodes` that are in no branch of the tree into the folder of the others; return its item.

    The folder is found by its content, so that the user may rename and move it: the one that this module made, else the
    first with one of the nodes, else a new one. What the user moved elsewhere stays there; 0 if all of it was moved.
    """
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    nodes, top = list(nodes), tree.GetSceneItemID()
    folders = [folder for folder in (folder_of(scene, node) for node in nodes) if folder]
    folder = next((one for one in folders if tree.GetItemAttribute(one, _MADE)), folders[0] if folders else 0)
    items = {node: tree.GetItemByDataNode(node) for node in nodes}
    loose = [node for node, item in items.items() if not item or tree.GetItemParent(item) == top]
    if loose and not folder:
        folder = tree.CreateFolderItem(top, name)
        tree.SetItemAttribute(folder, _MADE, "1")
    for node in loose:
        if items[node]:
            tree.SetItemParent(items[node], folder)
        else:  # the application's plugins create items automatically; plain libraries do not
            tree.CreateItem(folder, node)
    return folder


def give_item(scene: Any, node: Any) -> None:
    """Add a node that is in no list to the tree, which does not show it.

    Slicer adds no item for such a node, but its plugin for segmentations reports an error for each change of a
    segmentation that has none.
    """
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if not tree.GetItemByDataNode(node):
        tree.CreateItem(tree.GetSceneItemID(), node)


def take_out_of_folder(scene: Any, nodes: Iterable[Any]) -> None:
    """Take nodes that are about to be removed out of the tree, and with them folders of `put_in_folder` that become
    empty. A folder of the user stays, empty or not.

    The application does the first by itself; plain libraries keep a dangling item and report it again and again.
    """
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folders = set()
    for node in nodes:
        folders.add(folder_of(scene, node))
        item = tree.GetItemByDataNode(node)
        if item:
            tree.RemoveItem(item, False, False)
    for folder in folders - {0}:
        if tree.GetNumberOfItemChildren(folder) == 0 and tree.GetItemAttribute(folder, _MADE):
            display = tree.GetItemDataNode(folder)  # made by Slicer when the eye or the opacity of the folder is used
            tree.RemoveItem(folder, False, False)
            if display is not None:
                scene.RemoveNode(display)


def is_shown(node: Any) -> bool:
    """Return False if the display of a node is hidden, or a folder that holds the node, by its eye in the module Data.

    A display node does not tell the second: only views ask for it. Nodes in no list are in no folder.
    """
    display, folders = node.GetDisplayNode(), slicer.vtkMRMLFolderDisplayNode
    return display is not None and bool(display.GetVisibility()) and folders.GetHierarchyVisibility(node)


def opacity_of(node: Any) -> float:
    """Return the opacity of a node in the views, 0 to 1: of its display, times that of each folder that holds it."""
    return node.GetDisplayNode().GetOpacity() * slicer.vtkMRMLFolderDisplayNode.GetHierarchyOpacity(node)


def folder_of(scene: Any, node: Any) -> int:
    """Return the item of the folder that holds `node`, or 0."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemByDataNode(node)
    parent = tree.GetItemParent(item) if item else 0
    return parent if parent and _is_folder(tree, parent) else 0


def _is_folder(tree: Any, item: int) -> bool:
    if not item or item == tree.GetSceneItemID():
        return False
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyLevelFolder()
    return tree.GetItemLevel(item) == level
