"""Resample an array onto another grid through any relation of frames, linear or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import whole_voxel_windows
from REACTKDLib.scene.frames import Relation


def reslice(
    array: np.ndarray,
    ijk_to_ras: np.ndarray,
    relation: Relation,
    onto: Grid,
    nearest: bool = False,
) -> np.ndarray:
    """Return `array` (D, H, W) with `ijk_to_ras` sampled at the voxel centers of `onto`, in the array's own type.

    relation: from the array's frame to that of `onto`. nearest: for labels; else linear. The value outside is 0.
    Slicer's ResampleVolumeToReferenceVolume is not used: it ignores transforms of the reference and keeps the input's.
    """
    filter_ = vtk.vtkImageReslice()
    filter_.SetInputData(_index_image(array))
    filter_.SetOutputOrigin(0, 0, 0)
    filter_.SetOutputSpacing(1, 1, 1)
    depth, height, width = onto.shape
    filter_.SetOutputExtent(0, width - 1, 0, height - 1, 0, depth - 1)
    filter_.SetResliceTransform(_index_to_index(ijk_to_ras, relation, onto))
    filter_.SetInterpolationModeToNearestNeighbor() if nearest else filter_.SetInterpolationModeToLinear()
    filter_.SetBackgroundLevel(0.0)
    filter_.Update()
    return vtk_to_numpy(filter_.GetOutput().GetPointData().GetScalars()).reshape(onto.shape)


def shifted(array: np.ndarray, ijk_to_ras: np.ndarray, onto: Grid) -> np.ndarray | None:
    """Return `array` on `onto` (0 outside) if the two grids differ by whole voxels only, else None.

    Most segments are on the grid of their image; copying a box is many times faster than resampling the whole.
    """
    windows = whole_voxel_windows(array.shape, ijk_to_ras, onto)
    if windows is None:
        return None
    source, target = windows
    result = np.zeros(onto.shape, dtype=array.dtype)
    result[target] = array[source]
    return result


def _index_image(array: np.ndarray) -> Any:
    """Wrap an array as vtkImageData in index coordinates (origin 0, spacing 1)."""
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(array.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).reshape(-1)))
    image.array_kept_alive = array
    return image


def _index_to_index(ijk_to_ras: np.ndarray, relation: Relation, onto: Grid) -> Any:
    """Return the transform from indices of `onto` to indices of the input."""
    if relation.is_linear:
        to_input = np.linalg.inv(relation.matrix() @ ijk_to_ras) @ onto.ijk_to_ras
        transform = vtk.vtkTransform()
        transform.SetMatrix(slicer.util.vtkMatrixFromArray(to_input))
        return transform
    transform = vtk.vtkGeneralTransform()
    transform.PostMultiply()
    transform.Concatenate(slicer.util.vtkMatrixFromArray(onto.ijk_to_ras))
    transform.Concatenate(relation.inverse_transform())
    transform.Concatenate(slicer.util.vtkMatrixFromArray(np.linalg.inv(ijk_to_ras)))
    return transform
