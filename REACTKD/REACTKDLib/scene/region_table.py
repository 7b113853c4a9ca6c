"""The region table as a table node: one row for each region and the topology, as in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import vtk

from REACTKDLib.core.reports.region_values import IN_FILES
from REACTKDLib.core.reports.report import GradeReport

_VALUES = {name: value for value in IN_FILES for name in value.column_names((), " ")}
# column: (unit, what it says)
COLUMNS = {
    "region": ("", "Name of the region, as in the region segmentation"),
    "kind": ("", "parenchyma, tumor or topology"),
    "volume": ("ml", "Volume of the region"),
    **{name: (value.unit, value.description or value.tip) for name, value in _VALUES.items()},
    "low resolution": ("", "yes where the region is smaller than a cell of the network's grid"),
}


RATIO = "tumor to liver, "  # and the name of the image


def write_table(node: Any, report: GradeReport, uptake: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Replace the content of table node `node` by the regions of `report`; what is not claimed is NaN.

    uptake: as `core.masks.uptake.uptake_of` gives it; its ratios get a column for each PET.
    """
    rows = report.regions
    table = vtk.vtkTable()
    table.AddColumn(_words("region", (row.name for row in rows)))
    table.AddColumn(_words("kind", (row.kind for row in rows)))
    table.AddColumn(_numbers("volume", (row.volume_ml for row in rows)))
    for value in IN_FILES:
        for name, grade in value.column_names(tuple(report.baseline or {}), " ").items():
            table.AddColumn(_numbers(name, (value.of(row, grade) for row in rows)))
    for image, entries in (uptake or {}).items():
        ratios = [entry.ratio if entry is not None else None for entry in entries]
        table.AddColumn(_numbers(f"{RATIO}{image}", (*ratios, *[None] * (len(rows) - len(ratios)))))
    table.AddColumn(_words("low resolution", ("yes" if row.low_resolution else "no" for row in rows)))
    node.RemoveAllColumns()  # with the descriptions of columns that a former result had
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    for name, (unit, description) in COLUMNS.items():
        node.SetColumnUnitLabel(name, unit)
        node.SetColumnDescription(name, description)
    for index in range(table.GetNumberOfColumns()):
        if isinstance(table.GetColumn(index), vtk.vtkDoubleArray):
            node.SetColumnNullValue(table.GetColumnName(index), "nan")


def read_ratios(node: Any) -> dict[str, list[float | None]]:
    """Return {image: tumor-to-liver ratio of each region}, as `write_table` left them; None where none is claimed."""
    table, found = node.GetTable(), {}
    for index in range(table.GetNumberOfColumns()):
        name = table.GetColumnName(index) or ""
        if name.startswith(RATIO):
            values = [table.GetColumn(index).GetValue(row) for row in range(table.GetNumberOfRows())]
            found[name.removeprefix(RATIO)] = [None if math.isnan(value) else value for value in values]
    return found


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
