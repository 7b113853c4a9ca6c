"""Nodes of a scene by their class, and those of the module's own by the mark that it put on them."""

from __future__ import annotations

from typing import Any


def nodes_of_class(scene: Any, kind: str) -> list[Any]:
    """Return the nodes of a class, or of one derived from it, in the scene's order."""
    return [scene.GetNthNodeByClass(index, kind) for index in range(scene.GetNumberOfNodesByClass(kind))]


def marked_nodes(scene: Any, kind: str, mark: str) -> list[Any]:
    """Return the nodes of a class that have the attribute `mark`."""
    return [node for node in nodes_of_class(scene, kind) if node.GetAttribute(mark)]
