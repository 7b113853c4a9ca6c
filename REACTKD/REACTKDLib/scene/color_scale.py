"""The color scale of the regions: a model without surface that carries the color table, its range and the legend.

Segments have plain colors without scalars, so a segmentation cannot have a legend; a model can, in all views.
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
    """Set the range of the scale and show its legend, unless no grade is given. Fractions are shown times 100.

    color_node: the table for the overlay. The title contains the prediction, so that it is visible in the views while
    masks are corrected in another module; and the topology, if no region has more influence.
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
    legend = show_legend(node, _title(report, overlay), f"%.{digits}f", x=0.98)
    legend.SetVisibility(visible and has_scale(report, overlay))


def has_scale(report: GradeReport, overlay: Overlay) -> bool:
    """Return True if the colors of regions represent numbers: a grade is given, and no voxel map is shown."""
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
    """Return notes that the ends of a fixed scale include larger values, if a region shown exceeds it."""
    limit = overlay.limit(report)
    drawn = (overlay.value_of(row) or 0.0 for row in report.regions if row.kind != "topology")
    if overlay.value.scale is None or max(map(abs, drawn), default=0.0) <= limit:
        return []
    return [_("colors end at ±{limit}").format(limit=f"{100 * limit:.0f}")]


def _one_point(ras: tuple[float, float, float]) -> Any:
    """Return a surface of one point and no cell: invisible, but Slicer can save it."""
    points = vtk.vtkPoints()
    points.InsertNextPoint(*ras)
    surface = vtk.vtkPolyData()
    surface.SetPoints(points)
    return surface
