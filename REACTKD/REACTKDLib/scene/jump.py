"""Move every view to a place that a report or a finding names."""

from __future__ import annotations

from typing import Any

import slicer

from REACTKDLib.scene.scene_nodes import nodes_of_class
from REACTKDLib.scene.shown_views import THREE_D_VIEW, shown_views


def jump_to(reference: Any, ras: tuple[float, float, float]) -> tuple[float, float, float]:
    """Center all slice views, and the 3D views on show, on `ras`; return the place in the world.

    ras: mm in the frame of volume node `reference`: reports are written below its parent transforms, views lie above.
    """
    world = [0.0, 0.0, 0.0]
    reference.TransformPointToWorld(list(ras), world)
    mode = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(reference.GetScene(), *world, mode)
    _turn_to(reference.GetScene(), world)
    return tuple(world)


def _turn_to(scene: Any, world: list[float]) -> None:
    """Let the cameras of the 3D views look at a place from where they looked before: direction and distance stay."""
    names = {view.GetLayoutName() for view in shown_views(scene, THREE_D_VIEW)}
    for camera in nodes_of_class(scene, "vtkMRMLCameraNode"):
        if camera.GetLayoutName() in names:
            way = [there - here for there, here in zip(world, camera.GetFocalPoint(), strict=True)]
            camera.SetPosition(*(here + step for here, step in zip(camera.GetPosition(), way, strict=True)))
            camera.SetFocalPoint(*world)
            camera.ResetClippingRange()
