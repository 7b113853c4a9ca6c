"""Conversion of a volume node to a core Volume, in its own frame or that of the case's reference volume, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from REACTKDLib.core.errors import NotThreeDimensional, NoVolume
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.text import tr as _
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.reslice import reslice
from REACTKDLib.scene.units import unit_of, write_unit


def volume_from_node(node: Any, role: str = _("the volume")) -> Volume:
    """Return the volume in the node's own frame: parent transforms stay out. The array is a read-only view.

    role: the name of the node in messages ("the CT"); the node's own name, which may be a patient's, is never used.

    Raises: NoVolume for a node without voxels; NotThreeDimensional for a color or vector image; and what Volume raises.
    """
    return Volume(voxels_of(node, role), ijk_to_ras_of(node), unit_of(node), role)


def voxels_of(node: Any, role: str = _("the volume")) -> np.ndarray:
    """Return the voxels (D, H, W) as a read-only view, unchecked. Raises: NoVolume, NotThreeDimensional."""
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise NoVolume(_("{role} holds no image; load it again or choose another volume."), role=role)
    if image.GetNumberOfScalarComponents() != 1:
        text = _(
            "{role} has {count} values in each voxel where one is needed; split a color image or a "
            "time series into single volumes first."
        )
        raise NotThreeDimensional(text, role=role, count=image.GetNumberOfScalarComponents())
    array = slicer.util.arrayFromVolume(node).view()
    array.flags.writeable = False
    return array


def volume_in_frame_of(node: Any, reference: Any, role: str = _("the volume")) -> Volume:
    """Return the volume of `node` placed in the frame of volume node `reference`.

    A linear relation is put into the matrix without resampling; with a non-linear one (grid, B-spline), the volume is
    resampled linearly to the reference's grid, 0 outside.
    """
    volume = volume_from_node(node, role)
    relation = relation_between(node, reference)
    if relation.is_identity:
        return volume
    if relation.is_linear:
        return Volume(volume.array, relation.placed(volume.ijk_to_ras), volume.unit, volume.name)
    grid = grid_of(reference)
    array = reslice(volume.array.astype(np.float32), volume.ijk_to_ras, relation, grid)
    return Volume(array, grid.ijk_to_ras, volume.unit, volume.name)


def node_from_volume(scene: Any, volume: Volume, name: str) -> Any:
    """Add a scalar volume node of `volume`, and return it. The voxels are copied."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
    write_unit(node, volume.unit)
    return node


def ijk_to_ras_of(node: Any) -> np.ndarray:
    """Return the node's own IJK-to-RAS matrix, (4, 4), mm, without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def grid_of(node: Any) -> Grid:
    """Return the voxel grid of a volume node in its own frame."""
    return Grid(tuple(reversed(node.GetImageData().GetDimensions())), ijk_to_ras_of(node))
