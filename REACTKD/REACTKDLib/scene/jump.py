"""Moves every view to a position from a report or a finding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import slicer

from REACTKDLib.scene.scene_nodes import nodes_of_class
from REACTKDLib.scene.shown_views import THREE_D_VIEW, shown_views

NEAR_MM = 20.0  # around the drawn regions: from there they fill the view
PART_OF_VIEW = 0.8  # of half the height of a 3D view, where the middle of the drawn regions may lie


def jump_to(reference: Any, ras: tuple[float, float, float]) -> tuple[float, float, float]:
    """Center all slice views, and the visible 3D views, on `ras`; return the world position.

    ras: mm in the frame of volume node `reference`: report positions are below its parent transforms, views are in
    world coordinates.
    """
    world = [0.0, 0.0, 0.0]
    reference.TransformPointToWorld(list(ras), world)
    mode = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(reference.GetScene(), *world, mode)
    _turn_to(reference.GetScene(), world)
    return tuple(world)


def _turn_to(scene: Any, world: list[float]) -> None:
    """Point the cameras of the 3D views at a position, keeping the direction; outside the drawn regions, as beside a
    finding far from the liver, step back until they are in view.
    """
    names = {view.GetLayoutName() for view in shown_views(scene, THREE_D_VIEW)}
    place, drawn = np.array(world), _drawn_box(scene)
    outside = drawn is not None and bool(((place < drawn[0] - NEAR_MM) | (place > drawn[1] + NEAR_MM)).any())
    for node in nodes_of_class(scene, "vtkMRMLCameraNode"):
        if node.GetLayoutName() in names:
            camera = node.GetCamera()
            direction, distance = np.array(camera.GetDirectionOfProjection()), camera.GetDistance()
            if outside:
                distance = max(distance, _distance_to_see(drawn - place, direction, camera.GetViewAngle()))
            node.SetPosition(*(place - distance * direction))
            node.SetFocalPoint(*world)
            node.ResetClippingRange()


def _distance_to_see(box: np.ndarray, direction: np.ndarray, angle: float) -> float:
    """Return how far a camera must be from its focal point to have the middle of a box in view, and all of it in front.

    box: (2, 3), two corners, relative to the focal point; angle: of view, degrees.
    """
    middle, radius = box.mean(axis=0), float(np.linalg.norm(box[1] - box[0])) / 2
    depth = float(middle @ direction)
    aside = float(np.linalg.norm(middle - depth * direction))
    return max(aside / PART_OF_VIEW, radius) / math.tan(math.radians(angle) / 2) - depth


def _drawn_box(scene: Any) -> np.ndarray | None:
    """Return two corners (2, 3) around all segmentations that are drawn in 3D, in world coordinates; None without.

    A segmentation without a surface is not drawn, although its display node is visible in 3D.
    """
    corners = []
    for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
        display = node.GetDisplayNode()
        if display is None or not display.GetDisplayRepresentationName3D():
            continue
        if display.GetVisibility() and display.GetVisibility3D():
            bounds = [0.0] * 6
            node.GetRASBounds(bounds)
            if bounds[0] <= bounds[1]:
                corners += [bounds[::2], bounds[1::2]]
    return np.array([np.min(corners, axis=0), np.max(corners, axis=0)]) if corners else None
