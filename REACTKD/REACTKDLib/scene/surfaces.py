"""The surfaces of regions for 3D views, coarse enough to follow a mask edit.

Slicer's own conversion meshes every voxel of a CT (half a second and more for a liver); what is seen at the size of a
view needs voxels of about 2 mm, and one region at a time lets the interface breathe in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from REACTKDLib.core.regions import Region, RegionSet

CELL_MM = 2.0  # voxels of a large region are thinned out to about this size
_SMALL_VOXELS = 200_000  # a region whose box has fewer voxels keeps them all
_ITERATIONS, _PASS_BAND = 20, 0.05


def surface_of(regions: RegionSet, region: Region) -> Any:
    """Return the closed, smoothed surface of one region as vtkPolyData, in the frame of the regions, mm RAS."""
    mask = regions.labels[region.box] == region.label
    stride = (1, 1, 1)
    if mask.size > _SMALL_VOXELS:
        stride = tuple(max(1, round(CELL_MM / spacing)) for spacing in regions.spacing[::-1])
    thinned = np.pad(mask[tuple(slice(None, None, step) for step in stride)].astype(np.uint8), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(*thinned.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(thinned.reshape(-1), deep=True))
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetInputConnection(edges.GetOutputPort())
    placed.SetTransform(_thinned_to_ras(regions.ijk_to_ras, region, stride))
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(placed.GetOutputPort())
    smooth.SetNumberOfIterations(_ITERATIONS)
    smooth.SetPassBand(_PASS_BAND)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _thinned_to_ras(ijk_to_ras: np.ndarray, region: Region, stride: tuple[int, int, int]) -> Any:
    """Return the transform from indices of the thinned, padded box to mm RAS."""
    matrix = np.eye(4)
    steps = np.array(stride[::-1], dtype=float)
    corner = np.array([part.start for part in region.box[::-1]], dtype=float)
    matrix[:3, :3] = ijk_to_ras[:3, :3] * steps
    matrix[:3, 3] = ijk_to_ras[:3, :3] @ (corner - steps) + ijk_to_ras[:3, 3]  # one thinned voxel of padding
    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return transform
