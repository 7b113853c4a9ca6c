"""Move every slice view to a place that a report or a finding names."""

from __future__ import annotations

from typing import Any

import slicer


def jump_to(reference: Any, ras: tuple[float, float, float]) -> tuple[float, float, float]:
    """Center all slice views on `ras`, mm, in the frame of volume node `reference`; return the place in the world.

    Reports are written below the parent transforms of the reference, views lie above them.
    """
    world = [0.0, 0.0, 0.0]
    reference.TransformPointToWorld(list(ras), world)
    mode = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(reference.GetScene(), *world, mode)
    return tuple(world)
