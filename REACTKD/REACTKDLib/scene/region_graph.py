"""The region graph in 3D: a sphere at the centroid of each region, a rod between regions with similar embeddings.

Two separate models, so that the spheres have the colors of the regions and the rods stay gray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import slicer
import vtk

from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.scene.overlay import Overlay

VALUE, SIMILARITY = "value", "similarity"
STRONGEST = 3  # rods per region; more would clutter a liver with many lesions
_PARENCHYMA_MM, _LESION_MM = 7.0, (3.0, 9.0)
_ROD_MM = (0.4, 2.4)  # radius at similarity 0 and 1
_ROD_COLOR = (0.75, 0.75, 0.75)

Edge = tuple[int, int, float]


def write_graph(nodes: Any, edges: Any, report: GradeReport, reference: Any) -> None:
    """Replace the content of the model nodes `nodes` and `edges` by the graph of `report`, hidden until it is shown.

    reference: the volume node whose frame the report's positions use.
    """
    for model in (nodes, edges):
        if model.GetDisplayNode() is None:
            model.CreateDefaultDisplayNodes()
            model.GetDisplayNode().SetVisibility(False)
        model.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    nodes.SetAndObservePolyData(_balls(report))
    edges.SetAndObservePolyData(_rods(report))
    edges.GetDisplayNode().SetColor(*_ROD_COLOR)


def color_graph(outputs: Any, color_node: Any, report: GradeReport, overlay: Overlay, visible: bool) -> None:
    """Color the spheres by the value of `overlay`, on the scale of the regions, and show or hide the graph."""
    limit = overlay.limit(report)
    balls = outputs.graph_nodes.GetPolyData()
    indices, values = balls.GetPointData().GetArray("region"), balls.GetPointData().GetArray(VALUE)
    for point in range(balls.GetNumberOfPoints()):
        values.SetValue(point, overlay.value_of(report.regions[int(indices.GetValue(point))]) or 0.0)
    values.Modified()
    balls.Modified()
    display = outputs.graph_nodes.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node.GetID())
    display.SetActiveScalarName(VALUE)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit if overlay.signed else 0.0, limit)
    display.SetScalarVisibility(report.grade is not None and overlay.value is not None)
    for model in (outputs.graph_nodes, outputs.graph_edges):
        model.GetDisplayNode().SetVisibility(visible)


def edges_shown(report: GradeReport) -> list[Edge]:
    """Return the edges that are drawn: the most similar ones of each region, never with negative similarity."""
    strongest: set[Edge] = set()
    for index in range(len(report.regions)):
        own = sorted((e for e in report.edges if index in e[:2] and e[2] > 0), key=lambda edge: -edge[2])
        strongest.update(own[:STRONGEST])
    return sorted(strongest)


def _placed(report: GradeReport) -> list[tuple[int, ReportRegion]]:
    return [(index, row) for index, row in enumerate(report.regions) if row.centroid_ras_mm is not None]


def _balls(report: GradeReport) -> Any:
    parts = []
    for index, row in _placed(report):
        ball = vtk.vtkSphereSource()
        ball.SetCenter(*row.centroid_ras_mm)
        ball.SetRadius(_radius_of(row))
        ball.SetThetaResolution(20)
        ball.SetPhiResolution(14)
        ball.Update()
        parts.append(_with_arrays(ball.GetOutput(), {"region": float(index), VALUE: 0.0}))
    return _joined(parts, ("region", VALUE))


def _radius_of(row: ReportRegion) -> float:
    if row.kind != "tumor":
        return _PARENCHYMA_MM
    radius = (3000 * (row.volume_ml or 0.0) / (4 * math.pi)) ** (1 / 3)
    return min(max(0.6 * radius, _LESION_MM[0]), _LESION_MM[1])


def _rods(report: GradeReport) -> Any:
    places = {index: row.centroid_ras_mm for index, row in _placed(report)}
    parts = []
    for i, j, similarity in edges_shown(report):
        if i not in places or j not in places or places[i] == places[j]:
            continue
        line = vtk.vtkLineSource()
        line.SetPoint1(*places[i])
        line.SetPoint2(*places[j])
        rod = vtk.vtkTubeFilter()
        rod.SetInputConnection(line.GetOutputPort())
        rod.SetRadius(_ROD_MM[0] + (_ROD_MM[1] - _ROD_MM[0]) * similarity**2)
        rod.SetNumberOfSides(12)
        rod.Update()
        parts.append(_with_arrays(rod.GetOutput(), {SIMILARITY: similarity}))
    return _joined(parts, (SIMILARITY,))


def _with_arrays(part: Any, values: dict[str, float]) -> Any:
    for name, value in values.items():
        array = vtk.vtkDoubleArray()
        array.SetName(name)
        array.SetNumberOfValues(part.GetNumberOfPoints())
        array.FillComponent(0, value)
        part.GetPointData().AddArray(array)
    return part


def _joined(parts: Sequence[Any], names: Sequence[str]) -> Any:
    if not parts:
        nothing = vtk.vtkPolyData()
        nothing.SetPoints(vtk.vtkPoints())
        return _with_arrays(nothing, dict.fromkeys(names, 0.0))
    append = vtk.vtkAppendPolyData()
    for part in parts:
        append.AddInputData(part)
    append.Update()
    return append.GetOutput()
