"""Transformation from one node's coordinates to another's, through their chains of parent transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk


@dataclass(frozen=True)
class Relation:
    """Transforms points from the frame of one node (below its parent transforms) to the frame of another.

    up: transform nodes from the source up to the common ancestor, nearest first. down: the same for the target. Shared
    transforms are left out, so that they change nothing, bit for bit.
    """

    up: tuple[Any, ...]
    down: tuple[Any, ...]

    @property
    def is_identity(self) -> bool:
        """True if both nodes are in the same frame."""
        return not self.up and not self.down

    @property
    def is_linear(self) -> bool:
        """True if one 4x4 matrix describes it."""
        return all(node.IsLinear() for node in (*self.up, *self.down))

    def matrix(self) -> np.ndarray:
        """Return the (4, 4) matrix from source to target, mm. Only for linear relations."""
        result = np.eye(4)
        for node in self.up:
            result = _matrix_to_parent(node) @ result
        for node in reversed(self.down):
            result = np.linalg.inv(_matrix_to_parent(node)) @ result
        return result

    def placed(self, ijk_to_ras: np.ndarray) -> np.ndarray:
        """Return the (4, 4) matrix of a grid in the source's frame as one in the target's, for a linear relation."""
        return ijk_to_ras if self.is_identity else self.matrix() @ ijk_to_ras

    def inverse_transform(self) -> Any:
        """Return a vtkGeneralTransform from target to source, as a resampler needs it."""
        transform = vtk.vtkGeneralTransform()
        transform.PostMultiply()
        for node in self.down:
            transform.Concatenate(node.GetTransformToParent())
        for node in reversed(self.up):
            transform.Concatenate(node.GetTransformFromParent())
        return transform


def relation_between(source: Any, target: Any) -> Relation:
    """Return the relation from the frame of transformable node `source` to that of `target`."""
    up, down = _parents(source), _parents(target)
    while up and down and up[-1].GetID() == down[-1].GetID():
        up.pop()
        down.pop()
    return Relation(tuple(up), tuple(down))


def distorting_transform(node: Any) -> Any | None:
    """Return the first non-linear transform above `node`, or None."""
    return next((parent for parent in _parents(node) if not parent.IsLinear()), None)


def _parents(node: Any) -> list[Any]:
    parents = []
    parent = node.GetParentTransformNode()
    while parent is not None:
        parents.append(parent)
        parent = parent.GetParentTransformNode()
    return parents


def _matrix_to_parent(node: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
