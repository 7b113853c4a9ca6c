"""The scale of the region colors: a model without surface that carries the color table, its range and the legend.

Segments have plain colors and no scalar, so that a segmentation cannot have a legend; a model can, in all views.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.colors import show_legend
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.translation import tr as _
from REACTKDLib.scene.translation import translated


def write_scale(node: Any, color_node: Any, report: GradeReport, overlay: Overlay, visible: bool = True) -> None:
    """Set the range of the scale to the lesions' values and show its legend, unless no grade is claimed.

    color_node: the table that fits the overlay. The title holds the answer, so that whoever corrects a mask in another
    module sees in the views what becomes of the grade.
    """
    node.SetAndObservePolyData(_one_point(report.regions[0].centroid_ras_mm or (0.0, 0.0, 0.0)))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    limit = overlay.limit(report)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node.GetID())
    display.SetScalarVisibility(True)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit if overlay.signed else 0.0, limit)
    display.SetVisibility2D(True)
    digits = 2 if limit >= 0.1 else 3
    legend = show_legend(node, _title(report, overlay), f"%{'+' if overlay.signed else ''}.{digits}f", x=0.98)
    legend.SetVisibility(visible and report.grade is not None and overlay.value is not None)


def _title(report: GradeReport, overlay: Overlay) -> str:
    if report.grade is None:
        return _("No grade")
    answer = f"{_grade(report.grade)} {report.probabilities[report.grade]:.0%}"
    value = overlay.value
    what = translated(value.legend.format(grade=_grade(overlay.grade or report.grade))) if value is not None else ""
    return f"{answer}\n{what}"


def _grade(name: str | None) -> str | None:
    """A grade in the language of the application; another model's classes as it calls them."""
    return {"well": _("well"), "moderate": _("moderate"), "poor": _("poor")}.get(name, name)


def _one_point(ras: tuple[float, float, float]) -> Any:
    """A surface of one point and no cell: nothing to see, and still something that Slicer can save."""
    points = vtk.vtkPoints()
    points.InsertNextPoint(*ras)
    surface = vtk.vtkPolyData()
    surface.SetPoints(points)
    return surface
