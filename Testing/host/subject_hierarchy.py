"""The tree of the module Data, as Slicer's plugins of the subject hierarchy keep it: one item for each visible node.

Without them a removed node leaves an item behind, and VTK reports an error when a new node gets the old address.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

# What the plugins add; the application has one plugin for each.
KINDS = ("ScalarVolume", "Segmentation", "Markups", "Model", "Table", "PlotChart", "PlotSeries", "Text", "Transform")


def keep_items(scene: Any) -> None:
    """Add an item for each node that is added from now on, and remove it with the node."""

    def observe(event: int, react: Any) -> None:
        def called(_scene: Any, _event: str, node: Any) -> None:
            react(scene, node)

        called.CallDataType = vtk.VTK_OBJECT
        scene.AddObserver(event, called)

    observe(scene.NodeAddedEvent, _add_item)
    observe(scene.NodeAboutToBeRemovedEvent, _remove_item)
    for ended in (scene.EndImportEvent, scene.EndBatchProcessEvent):
        scene.AddObserver(ended, lambda *_: _complete(scene), 10.0)  # before the models that show the tree


def _add_item(scene: Any, node: Any) -> None:
    if not scene.IsImporting() and not node.GetHideFromEditors() and any(node.IsA(f"vtkMRML{k}Node") for k in KINDS):
        tree = _tree(scene)
        if not tree.GetItemByDataNode(node):
            tree.CreateItem(tree.GetSceneItemID(), node)


def _remove_item(scene: Any, node: Any) -> None:
    if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
        return
    item = _tree(scene).GetItemByDataNode(node)
    if item:
        _tree(scene).RemoveItem(item, False, False)


def _complete(scene: Any) -> None:
    """After an import, which reads its own items, and after batches, which may signal no nodes."""
    if scene.IsClosing():
        return
    slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    for index in range(scene.GetNumberOfNodes()):
        _add_item(scene, scene.GetNthNode(index))


def _tree(scene: Any) -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
