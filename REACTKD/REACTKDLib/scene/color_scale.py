"""The scale of the region colors: a model without surface that carries the color table, its range and the legend.

Segments have plain colors and no scalar, so that a segmentation cannot have a legend; a model can, in all views.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.reports.share_words import pattern_words
from REACTKDLib.scene.colors import show_legend
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.translation import tr as _
from REACTKDLib.scene.translation import translated


def write_scale(node: Any, color_node: Any, report: GradeReport, overlay: Overlay, visible: bool = True) -> None:
    """Set the range of the scale and show its legend, unless no grade is claimed. Fractions are shown times 100.

    color_node: the table that fits the overlay. The title holds the answer, so that whoever corrects a mask in another
    module sees in the views what becomes of the grade; and number and shape of lesions, where no region decided more.
    """
    node.SetAndObservePolyData(_one_point(report.regions[0].centroid_ras_mm or (0.0, 0.0, 0.0)))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    limit = overlay.limit(report) * (100 if overlay.value is not None and overlay.value.percent else 1)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node.GetID())
    display.SetScalarVisibility(True)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit if overlay.signed else 0.0, limit)
    display.SetVisibility2D(True)
    digits = next((n for n, least in enumerate((10, 1, 0.1)) if limit >= least), 3)
    legend = show_legend(node, _title(report, overlay), f"%{'+' if overlay.signed else ''}.{digits}f", x=0.98)
    legend.SetVisibility(visible and has_scale(report, overlay))


def has_scale(report: GradeReport, overlay: Overlay) -> bool:
    """True where the colors of regions stand for numbers: a grade is claimed, and no map of voxels is drawn."""
    return report.grade is not None and overlay.value is not None


def _title(report: GradeReport, overlay: Overlay) -> str:
    if report.grade is None:
        return _("No grade")
    lines = [f"{translated(report.task.class_word(report.grade))} {report.probabilities[report.grade]:.0%}"]
    value = overlay.value
    if value is not None:
        lines.append(translated(value.legend.format(grade=report.task.class_word(overlay.grade or report.grade))))
        lines += _beyond(report, overlay)
        if value.key == "share" and pattern_words(report):
            lines.append(translated(pattern_words(report)))
    return "\n".join(lines)


def _beyond(report: GradeReport, overlay: Overlay) -> list[str]:
    """Say that the ends of a fixed scale stand for more, where a region that is drawn has more."""
    limit = overlay.limit(report)
    drawn = (overlay.value_of(row) or 0.0 for row in report.regions if row.kind != "topology")
    if overlay.value.scale is None or max(map(abs, drawn), default=0.0) <= limit:
        return []
    return [_("colors end at ±{limit}").format(limit=f"{100 * limit:.0f}")]


def _one_point(ras: tuple[float, float, float]) -> Any:
    """A surface of one point and no cell: nothing to see, and still something that Slicer can save."""
    points = vtk.vtkPoints()
    points.InsertNextPoint(*ras)
    surface = vtk.vtkPolyData()
    surface.SetPoints(points)
    return surface
