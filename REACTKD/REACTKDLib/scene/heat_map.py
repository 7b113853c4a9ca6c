"""The voxel map as a volume over the reference image, with its own color table; transparent at zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from REACTKDLib.scene.colors import legend_of
from REACTKDLib.scene.reading_layout import composites
from REACTKDLib.scene.result import GradeResult

VISIBLE_FROM = 0.05
_BEFORE = "REACTKD.ForegroundBefore"


def write_heat_map(node: Any, color_node: Any, result: GradeResult, reference: Any) -> None:
    """Replace the content of scalar volume `node` by the voxel map, in the frame of `reference`.

    The window is 0 to 1, as the map's range; below 0.05 it is transparent.
    """
    volume = result.voxel_map
    create_display(node)
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)  # before the voxels are set: a histogram of the whole volume takes half a second
    node.SetAndObserveImageData(_image_of(volume.array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    display.SetAndObserveColorNodeID(color_node.GetID())
    display.SetWindowLevelMinMax(0.0, 1.0)
    display.SetAutoThreshold(False)
    display.SetThreshold(VISIBLE_FROM, 1.0)
    display.SetApplyThreshold(True)
    display.SetInterpolate(True)


def create_display(node: Any) -> None:
    """Give scalar volume `node`, which may be empty yet, a display node, unless it has one."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()


def _image_of(array: np.ndarray) -> Any:
    """Return voxels (D, H, W) from 0 to 1 as an image that shares their memory.

    The voxels are not scanned: a map has the size of a large CT and is zero outside the organ.
    """
    flat = np.ascontiguousarray(array, dtype=np.float32).reshape(-1)
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(array.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(flat))
    return image


def show_in_slices(scene: Any, node: Any, opacity: float = 0.6) -> None:
    """Show the voxel map over the image in every slice view; `hide_from_slices` restores the former foreground."""
    for composite in composites(scene):
        before = composite.GetForegroundVolumeID()
        if before != node.GetID():
            composite.SetAttribute(_BEFORE, f"{composite.GetForegroundOpacity()} {before or ''}")
        composite.SetForegroundVolumeID(node.GetID())
        composite.SetForegroundOpacity(opacity)
    _refresh_legend(node)


def set_foreground(composite: Any, volume: Any | None, opacity: float) -> None:
    """Show a volume, or none, over the image of one slice view; while a voxel map is shown, when that is hidden."""
    volume_id = volume.GetID() if volume is not None else None
    if composite.GetAttribute(_BEFORE) is not None and _has_foreground(composite):
        composite.SetAttribute(_BEFORE, f"{opacity} {volume_id or ''}")
        return
    if composite.GetForegroundVolumeID() != volume_id:
        composite.SetForegroundVolumeID(volume_id)
    composite.SetForegroundOpacity(opacity)
    composite.RemoveAttribute(_BEFORE)  # of a map that the user deleted


def _has_foreground(composite: Any) -> bool:
    return composite.GetScene().GetNodeByID(composite.GetForegroundVolumeID() or "") is not None


def hide_from_slices(scene: Any, node: Any) -> None:
    """Take the voxel map out of the slice views; other layers stay as they are."""
    for composite in composites(scene):
        if composite.GetForegroundVolumeID() != node.GetID():
            continue
        opacity, _, before = (composite.GetAttribute(_BEFORE) or "0 ").partition(" ")
        composite.RemoveAttribute(_BEFORE)
        composite.SetForegroundVolumeID(before if before and scene.GetNodeByID(before) is not None else None)
        composite.SetForegroundOpacity(float(opacity))
    _refresh_legend(node)


def _refresh_legend(node: Any) -> None:
    legend = legend_of(node)
    if legend is not None:
        legend.Modified()  # a volume's legend checks the layers only when it is modified itself
