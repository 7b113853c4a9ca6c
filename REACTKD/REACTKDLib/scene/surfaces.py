"""The surfaces of regions for 3D views, coarse enough to follow a mask edit.

Slicer's own conversion meshes every voxel of a CT (a quarter of a second and more for a liver); for display, voxels of
about 2 mm suffice. The worker creates them beforehand; otherwise they are created one region at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.masks.surface import surface_of as core_surface_of


def surface_of(regions: RegionSet, region: Region) -> Any:
    """Return the closed, smoothed surface of one region as vtkPolyData, in the frame of the regions, mm RAS."""
    return poly_data_of(core_surface_of(regions, region))


def poly_data_of(surface: Surface) -> Any:
    """Return a surface as vtkPolyData. The arrays are shared, not copied."""
    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(surface.points))
    cells = vtk.vtkCellArray()
    corners = surface.triangles.reshape(-1).astype(np.int64)
    cells.SetData(3, numpy_to_vtkIdTypeArray(corners, deep=True))
    normals = numpy_to_vtk(surface.normals)
    normals.SetName("Normals")
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    data.GetPointData().SetNormals(normals)
    return data
