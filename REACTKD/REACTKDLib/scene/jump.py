"""Moves every view to a position from a report or a finding."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.scene.scene_nodes import nodes_of_class
from REACTKDLib.scene.shown_views import THREE_D_VIEW, shown_views


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
    """Point the cameras of the 3D views at a position, keeping direction and distance."""
    names = {view.GetLayoutName() for view in shown_views(scene, THREE_D_VIEW)}
    for camera in nodes_of_class(scene, "vtkMRMLCameraNode"):
        if camera.GetLayoutName() in names:
            way = [there - here for there, here in zip(world, camera.GetFocalPoint(), strict=True)]
            camera.SetPosition(*(here + step for here, step in zip(camera.GetPosition(), way, strict=True)))
            camera.SetFocalPoint(*world)
            camera.ResetClippingRange()
