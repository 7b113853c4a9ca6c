"""Transforms and volumes whose world position is known independently of the code under test."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from REACTKDLib.core.images.grid import Grid
from support.grids import centers_ras


def rigid(degrees: tuple[float, float, float], shift: tuple[float, float, float]) -> np.ndarray:
    """Return a (4, 4) rotation about R, then A, then S, followed by a shift in mm."""
    x, y, z = np.deg2rad(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rz @ ry @ rx
    matrix[:3, 3] = shift
    return matrix


def linear_transform(scene: Any, matrix: np.ndarray, parent: Any = None) -> Any:
    """Add a linear transform node below `parent`."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    return node


def bending_transform(scene: Any, amount_mm: float = 6.0, parent: Any = None) -> Any:
    """Add a thin-plate spline that bends space by up to `amount_mm` near the liver."""
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    rng = np.random.default_rng(0)
    for point in np.stack(np.meshgrid(*[(-150, -40, 60, 150)] * 3), axis=-1).reshape(-1, 3).astype(float):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point + rng.uniform(-amount_mm, amount_mm, 3))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    return node


def to_world(points: np.ndarray, parents: list[Any]) -> np.ndarray:
    """Transform points (n, 3) by the nodes, nearest first, one point at a time."""
    moved = np.array(points, dtype=float)
    for node in parents:
        transform = node.GetTransformToParent()
        moved = np.array([transform.TransformPoint(p) for p in moved])
    return moved


def coordinate_volumes(shape: tuple[int, int, int], ijk_to_ras: np.ndarray, parents: list[Any]) -> list[Any]:
    """Add three volumes whose values are the R, A and S coordinates (mm, float32) of their own voxels in the world.

    Sampled anywhere, they give their original position: the difference to the true one is the error in mm.
    """
    world = to_world(centers_ras(Grid(shape, ijk_to_ras)).reshape(-1, 3), parents)
    nodes = []
    for axis in range(3):
        array = world[:, axis].reshape(shape).astype(np.float32)
        node = slicer.util.addVolumeFromArray(array, ijkToRAS=ijk_to_ras, name=f"coordinate {axis}")
        node.SetAndObserveTransformNodeID(parents[0].GetID() if parents else None)
        nodes.append(node)
    return nodes
