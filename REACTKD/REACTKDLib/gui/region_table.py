"""The table of regions: sortable numbers, a box to take a region out of the sum, and the region of each row.

Rows are sorted here, not by QTableWidget, which either sorts by the displayed text or formats numbers unevenly (2
beside 1.2).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.reports.measure_rows import MeasureRow, measure_columns, measure_titles
from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.reports.region_values import shown_values
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.reports.share_words import direction_words
from REACTKDLib.gui.plain_text import as_is, escaped
from REACTKDLib.gui.words import short_grade
from REACTKDLib.scene.translation import translated

ROW_HEIGHT = 24
ROWS_SEEN = 8  # more need scrolling
COLUMNS_SEEN = 2  # beside the name: as many as fit into 300 pixels; the others are in the details below the table

Column = tuple[str, str, int, Any]  # title, tool tip, decimals, value of (index, row)


def columns_for(report: GradeReport) -> list[Column]:
    """Return the columns after the names: the volume, explanation values, then measurements."""
    name = short_grade(report.grade, report.task).lower() if report.grade is not None else None
    shown = shown_values(report.regions)
    columns = [_column_of(value, report, name) for value in shown if name is not None or not value.per_class]
    columns.insert(1, (_("ml"), _("Volume of the region, ml."), 1, lambda _index, row: row.volume_ml))
    columns += [_measured(row, values) for row, values in _measures(report)]
    return columns


def _column_of(value: RegionValue, report: GradeReport, grade: str | None) -> Column:
    """The column of a value of the explanation. grade: the predicted one, for display."""

    def shown(_index: int, row: ReportRegion) -> float | None:
        number = value.of(row, report.grade)
        return 100 * number if number is not None and value.percent else number

    title, tip = (translated(text.format(grade=grade)) for text in (value.title, value.tip))
    return title, tip, value.decimals, shown


def _measures(report: GradeReport) -> list[tuple[MeasureRow, list[float | None]]]:
    titles, columns = measure_titles(report.regions, report.task), measure_columns(report.regions)
    return [(titles[key], values) for key, values in columns.items()]


def _measured(row: MeasureRow, values: list[float | None]) -> Column:
    title = f"{translated(row.name)} {row.unit}" if row.unit == "mm" else translated(row.name)
    tip = translated(row.tip)
    if row.inferred:
        tip = _("{tip} The PET states no unit; SUV is inferred from its values.").format(tip=tip)
    return title, tip, row.decimals, lambda index, _row: values[index]


def by_effect() -> tuple[int, Any]:
    """Return the initial sorting: column and order."""
    return 1, qt.Qt.DescendingOrder


def fill(table: Any, report: GradeReport) -> None:
    """Replace the content of a QTableWidget by the regions of `report`, the largest effect first."""
    columns = columns_for(report)[:COLUMNS_SEEN]
    table.blockSignals(True)
    table.clear()
    table.setColumnCount(1 + len(columns))
    table.setRowCount(len(report.regions))
    table.setHorizontalHeaderLabels([_("Region"), *(title for title, *_rest in columns)])
    for column, (_title, tip, _decimals, _value) in enumerate(columns, start=1):
        table.horizontalHeaderItem(column).setToolTip(as_is(tip))
    for index, row in enumerate(report.regions):
        table.setItem(index, 0, _name_item(index, row, report.grade is not None))
        for column, (_title, _tip, decimals, value) in enumerate(columns, start=1):
            table.setItem(index, column, _number_item(value(index, row), decimals))
    sort(table, *by_effect())
    for column in range(1, table.columnCount):  # also after another font was set: a number that is cut off is another
        table.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
    table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)  # long names are cut off
    table.setCurrentCell(0, 0)
    rows = min(max(len(report.regions), 1), ROWS_SEEN)
    table.horizontalHeader().setFixedHeight(ROW_HEIGHT)
    table.horizontalHeader().setHighlightSections(False)  # bold titles would take space from the names
    table.setFixedHeight((1 + rows) * ROW_HEIGHT + 2 * table.frameWidth)
    table.blockSignals(False)


def details(report: GradeReport, index: int) -> str:
    """Return the values without a column, as rich text: every further number of a region."""
    row = report.regions[index]
    shown = []
    for title, _tip, decimals, value in columns_for(report)[COLUMNS_SEEN:]:
        number = value(index, row)
        if number is not None:
            words = f"{escaped(title)}: {number + 0.0:.{decimals}f}"
            shown.append(words.replace(" ", "&nbsp;"))  # breaks between numbers only
    name, speaks = (escaped(translated(text)) for text in (row.name, direction_words(report, row)))
    name = f"<b>{name}</b>"
    name = _("{name} speaks {direction}.").format(name=name, direction=speaks) if speaks else f"{name}:"
    return f"{name} {', '.join(shown)}" if shown else ""


def details_tip(report: GradeReport) -> str:
    """Return descriptions of the numbers of `details`, a line for each."""
    return as_is("\n".join(f"{title}: {tip}" for title, tip, *_rest in columns_for(report)[COLUMNS_SEEN:]))


def sort(table: Any, column: int, order: Any) -> None:
    """Sort the rows by a column, without signals; rows without a number are always last."""
    before = table.blockSignals(True)
    places = range(table.rowCount)
    values = {row: table.item(row, column).data(qt.Qt.UserRole) for row in places}  # for names, their position
    known = sorted((row for row in places if values[row] is not None), key=values.get)
    if order == qt.Qt.DescendingOrder:
        known.reverse()
    chosen = region_at(table, table.currentRow()) if table.currentRow() >= 0 else None
    rows = [
        [table.takeItem(row, place) for place in range(table.columnCount)]
        for row in [*known, *(row for row in places if values[row] is None)]
    ]
    for row, items in enumerate(rows):
        for place, item in enumerate(items):
            table.setItem(row, place, item)
    header = table.horizontalHeader()
    header.setSortIndicatorShown(True)
    header.setSortIndicator(column, order)
    for row in places:
        if chosen is not None and region_at(table, row) == chosen:
            table.setCurrentCell(row, max(table.currentColumn(), 0))
    table.blockSignals(before)


def choose(table: Any, names: list[str], name: str) -> None:
    """Select the row of the region with this name, without signals; the first one if there is none. names: of all."""
    index = names.index(name) if name in names else None
    before = table.blockSignals(True)
    table.setCurrentCell(next((row for row in range(table.rowCount) if region_at(table, row) == index), 0), 0)
    table.blockSignals(before)


def order_after(before: tuple[int, Any], column: int) -> tuple[int, Any]:
    """Return the sorting after the title of `column` was clicked: largest numbers first, regions as in the report.

    before: the former column and order; a second click on the same title reverses it.
    """
    up, down = qt.Qt.AscendingOrder, qt.Qt.DescendingOrder
    if before[0] == column:
        return column, down if before[1] == up else up
    return column, up if column == 0 else down


def region_at(table: Any, row: int) -> int | None:
    """Return the report index of the region in a row."""
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


def leave_out(table: Any, regions: Collection[int]) -> None:
    """Clear the boxes of these regions and check all others, without signals."""
    before = table.blockSignals(True)
    for item in (table.item(row, 0) for row in range(table.rowCount)):
        if item.flags() & qt.Qt.ItemIsUserCheckable:
            cleared = int(item.data(qt.Qt.UserRole)) in regions
            item.setCheckState(qt.Qt.Unchecked if cleared else qt.Qt.Checked)
    table.blockSignals(before)


def _name_item(index: int, row: ReportRegion, graded: bool) -> Any:
    item = qt.QTableWidgetItem(translated(row.name))
    item.setData(qt.Qt.UserRole, index)
    flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
    item.setFlags(flags | qt.Qt.ItemIsUserCheckable if graded else flags)
    if graded:
        item.setCheckState(qt.Qt.Checked)
    item.setToolTip(as_is(translated(row.name)))
    if row.low_resolution:
        small = _("{name}: smaller than a cell of the model's maps, so its values are unreliable.")
        item.setToolTip(as_is(small.format(name=translated(row.name))))
    return item


def _number_item(value: float | None, decimals: int) -> Any:
    item = qt.QTableWidgetItem()
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
    if value is not None:
        shown = round(float(value), decimals) + 0.0  # without the sign of a zero
        item.setText(f"{shown:.{decimals}f}")
        item.setData(qt.Qt.UserRole, float(value))
    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item
