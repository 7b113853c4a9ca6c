"""The region table as a table node: one row for each region and the topology, as in the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import vtk

from REACTKDLib.core.reports.measure_rows import measure_columns, measure_titles
from REACTKDLib.core.reports.region_values import IN_FILES
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.scene.translation import translated

_VALUES = {name: value for value in IN_FILES for name in value.column_names((), " ")}
# column: (unit, description)
COLUMNS = {
    "region": ("", "Name of the region, as in the region segmentation"),
    "kind": ("", "parenchyma, tumor or topology"),
    "volume": ("ml", "Volume of the region"),
    **{name: (value.unit, value.description or value.tip) for name, value in _VALUES.items()},
    "low resolution": ("", "yes where the region is smaller than a cell of the network's grid"),
}


def write_table(node: Any, report: GradeReport) -> None:
    """Replace the content of table node `node` by the regions of `report`; missing values are NaN."""
    rows = report.regions
    table = vtk.vtkTable()
    table.AddColumn(_words("region", (translated(row.name) for row in rows)))
    table.AddColumn(_words("kind", (row.kind for row in rows)))
    table.AddColumn(_numbers("volume", (row.volume_ml for row in rows)))
    for value in IN_FILES:
        for name, grade in value.column_names(tuple(report.probabilities or {}), " ").items():
            table.AddColumn(_numbers(name, (value.of(row, grade) for row in rows)))
    table.AddColumn(_words("low resolution", ("yes" if row.low_resolution else "no" for row in rows)))
    measures = {key.replace("_", " "): row for key, row in measure_titles(rows, report.task).items()}
    for name, values in zip(measures, measure_columns(rows).values(), strict=True):
        table.AddColumn(_numbers(name, values))
    node.RemoveAllColumns()  # including the column descriptions of a former result
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    described = {name: (row.unit, row.tip) for name, row in measures.items()}
    for name, (unit, description) in (COLUMNS | described).items():
        node.SetColumnUnitLabel(name, unit)
        node.SetColumnDescription(name, description)
    for index in range(table.GetNumberOfColumns()):
        if isinstance(table.GetColumn(index), vtk.vtkDoubleArray):
            node.SetColumnNullValue(table.GetColumnName(index), "nan")


def _words(name: str, values: Iterable[str]) -> Any:
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _numbers(name: str, values: Iterable[float | None]) -> Any:
    """Return a column with the six digits that Slicer's table files keep, so that a saved scene reads back equal."""
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else float(f"{value:.6g}"))
    return column
