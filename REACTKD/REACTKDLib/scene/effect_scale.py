"""The scale of the effect colors: a model without surface that carries the color table, its range and the legend.

Segments have plain colors and no scalar, so that a segmentation cannot have a legend; a model can, in all views.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from REACTKDLib.scene.colors import show_legend
from REACTKDLib.scene.result import GradeResult, effect_limit

TITLE = "Effect on grade"


def write_effect_scale(node: Any, color_node: Any, result: GradeResult) -> None:
    """Set the range of the scale to the lesions' effects and show its legend."""
    node.SetAndObservePolyData(_one_point(result.regions.regions[0].centroid_ras))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    limit = effect_limit(result.report)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node.GetID())
    display.SetScalarVisibility(True)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit, limit)
    display.SetVisibility2D(True)
    legend = show_legend(node, TITLE, "%+.2f" if limit >= 0.1 else "%+.3f", x=0.98)
    legend.SetVisibility(result.report.grade is not None)


def _one_point(ras: tuple[float, float, float]) -> Any:
    """A surface of one point and no cell: nothing to see, and still something that Slicer can save."""
    points = vtk.vtkPoints()
    points.InsertNextPoint(*ras)
    surface = vtk.vtkPolyData()
    surface.SetPoints(points)
    return surface
