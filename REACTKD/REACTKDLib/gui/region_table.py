"""The table of regions: numbers to sort by, a box to take a region out of the sum, and which region a row is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.report import GradeReport, ReportRegion
from REACTKDLib.gui.words import short_grade

NAME_WIDTH = 130  # a longer name is cut off and told by its tool tip, so that the effect is seen beside it

Column = tuple[str, str, Any]  # title, tool tip, value of (index, row)


def columns_for(report: GradeReport, ratios: Mapping[str, Sequence[float | None]]) -> list[Column]:
    """Return the columns behind the names. ratios: {image as people call it: tumor-to-liver ratio of each region}."""
    percent = lambda value: None if value is None else round(100 * value, 1)  # noqa: E731
    columns: list[Column] = [
        (
            _("Effect %"),
            _("By how many percent points the grade's probability would change without the region."),
            lambda _index, row: percent(row.deletion_effect),
        ),
        (_("Volume ml"), _("Volume of the region."), lambda _index, row: _rounded(row.volume_ml, 1)),
        (
            _("Weight %"),
            _("The region's share of attention; it is no measure of importance."),
            lambda _index, row: percent(row.weight),
        ),
    ]
    if report.grade is not None:
        name = short_grade(report.grade).lower()
        columns.append(
            (
                _("Adds to {grade}").format(grade=name),
                _("What the region adds to the logit of the predicted grade."),
                lambda _index, row: _rounded(row.contribution[report.grade], 3),
            )
        )
    for image, values in ratios.items():
        columns.append(
            (
                _("{image} tumor/liver").format(image=image),
                _("The lesion's highest uptake over the liver's middle one."),
                lambda index, _row, values=values: _rounded(values[index] if index < len(values) else None, 2),
            )
        )
    return columns


def fill(table: Any, report: GradeReport, ratios: Mapping[str, Sequence[float | None]]) -> None:
    """Replace the content of a QTableWidget by the regions of `report`, the largest effect first."""
    columns = columns_for(report, ratios)
    table.blockSignals(True)
    table.setSortingEnabled(False)  # else rows move while they are filled
    table.clear()
    table.setColumnCount(1 + len(columns))
    table.setRowCount(len(report.regions))
    table.setHorizontalHeaderLabels([_("Region"), *(title for title, _tip, _value in columns)])
    for column, (_title, tip, _value) in enumerate(columns, start=1):
        table.horizontalHeaderItem(column).setToolTip(tip)
    for index, row in enumerate(report.regions):
        table.setItem(index, 0, _name_item(index, row, report.grade is not None))
        for column, (_title, _tip, value) in enumerate(columns, start=1):
            table.setItem(index, column, _number_item(value(index, row)))
    table.setSortingEnabled(True)
    table.sortItems(1, qt.Qt.DescendingOrder)
    table.resizeColumnsToContents()
    table.setColumnWidth(0, min(table.columnWidth(0), NAME_WIDTH))
    table.blockSignals(False)


def region_at(table: Any, row: int) -> int | None:
    """Return which region of the report a row shows."""
    item = table.item(row, 0)
    return int(item.data(qt.Qt.UserRole)) if item is not None else None


def regions_left_out(table: Any) -> set[int]:
    """Return the regions whose box is cleared."""
    items = [table.item(row, 0) for row in range(table.rowCount)]
    return {
        int(item.data(qt.Qt.UserRole))
        for item in items
        if item is not None and item.flags() & qt.Qt.ItemIsUserCheckable and item.checkState() == qt.Qt.Unchecked
    }


def check_all(table: Any) -> None:
    """Let every region take part again, without telling."""
    table.blockSignals(True)
    for row in range(table.rowCount):
        if table.item(row, 0).flags() & qt.Qt.ItemIsUserCheckable:
            table.item(row, 0).setCheckState(qt.Qt.Checked)
    table.blockSignals(False)


def _name_item(index: int, row: ReportRegion, graded: bool) -> Any:
    item = qt.QTableWidgetItem(row.name)
    item.setData(qt.Qt.UserRole, index)
    flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
    item.setFlags(flags | qt.Qt.ItemIsUserCheckable if graded else flags)
    if graded:
        item.setCheckState(qt.Qt.Checked)
    item.setToolTip(row.name)
    if row.low_resolution:
        small = _("{name}: smaller than a cell of the model's maps, so little of it is seen.")
        item.setToolTip(small.format(name=row.name))
    return item


def _number_item(value: float | None) -> Any:
    item = qt.QTableWidgetItem()
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    if value is not None:
        item.setData(qt.Qt.DisplayRole, float(value))  # a number, so that 9 sorts before 10
    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
