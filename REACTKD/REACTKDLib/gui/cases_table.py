"""The table of a list: a row for each case; only changed rows are rewritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.findings import finding_from
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.review.record import CaseReview
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import isolated, text_from
from REACTKDLib.gui.plain_text import as_is
from REACTKDLib.gui.words import short_grade
from REACTKDLib.scene.translation import translated

Row = tuple[int, ListedCase, CaseReview]
ROW_HEIGHT = 22
ROWS_SEEN = 5  # more need scrolling: the result is shown below the table
#: columns that are hidden, in this order, if the table is too narrow; their content is then shown below it
GO_FIRST = (6, 2, 3, 5)
NAME_WIDTH = 56  # minimum width of the name in pixels; a long name is cut off, and complete in the tool tip
ROWS_AT_ONCE = 50  # takes one or two hundredths of a second; the rest of a long list follows


class CasesTable:
    """Fills a QTableWidget, a long one in parts: rows not written yet are empty for a moment.

    below: the label under it, whose initial text, on the signs in the table, is kept at its end. task: its classes are
    the grades.
    """

    def __init__(self, table: Any, below: Any, task: Callable[[], Task]) -> None:
        self._table, self._below, self._task = table, below, task
        self._signs = below.text
        self._widths: list[int] = []  # widths that the columns need
        self._room: int | None = None  # width for which the columns were chosen
        self._rows: list[Row] = []
        self._current: int | None = None
        self._waiting: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._go_on)
        self._fitter = qt.QTimer()  # not while the header is being laid out
        self._fitter.setSingleShot(True)
        self._fitter.setInterval(0)
        self._fitter.connect("timeout()", self._choose_columns)
        titles = (_("Case"), _("Grade"), _("Conf."), _("Reader"), _("Done"), _("Checks"), _("Images"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(list(titles))
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.horizontalHeader().connect("sectionResized(int,int,int)", self._on_width)
        table.connect("currentCellChanged(int,int,int,int)", self._show_rest)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        tips = {
            1: _("The model's grade; old masks: the masks were corrected after it."),
            2: _("Probability of the grade; a question mark where the model is uncertain."),
            3: _("Your own grade."),
            4: _("Whether you have marked the case as reviewed."),
            5: _("What the checks say; more by the tool tip of a cell."),
            6: _("What the list names: images (Ac is acetate PET), and masks (M)."),
        }
        for column, tip in tips.items():
            table.horizontalHeaderItem(column).setToolTip(tip)

    def index_at(self, row: int) -> int | None:
        """Return the index of the case in a row."""
        return self._rows[row][0] if 0 <= row < len(self._rows) else None

    def show(self, rows: list[Row], current: int | None) -> None:
        """Show these rows; the current case is bold and selected."""
        if rows == self._rows and current == self._current:
            return
        old, self._rows = self._rows, rows
        same_cases = [row[:2] for row in old] == [row[:2] for row in rows]
        if not same_cases:
            self._table.setRowCount(len(rows))
            self._fit(len(rows))
            self._waiting = list(range(len(rows)))
        else:
            marked = (self._current, current)
            changed = [n for n, row in enumerate(rows) if old[n] != row or (row[0] in marked and current != marked[0])]
            self._waiting = list(dict.fromkeys([*changed, *self._waiting]))
        moved, self._current = current != self._current, current
        if same_cases or len(rows) <= ROWS_AT_ONCE:
            self._go_on()
        else:  # reading a long list has taken long enough for one slot
            self._timer.start()
        if moved or not same_cases:
            self._select(current)

    def _fit(self, rows: int) -> None:
        """Limit the height to the rows."""
        self._table.horizontalHeader().setFixedHeight(ROW_HEIGHT)
        self._table.horizontalHeader().setHighlightSections(False)
        self._table.setFixedHeight((1 + min(max(rows, 2), ROWS_SEEN)) * ROW_HEIGHT + 2 * self._table.frameWidth)

    def close(self) -> None:
        """Stop writing rows."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._go_on)
        self._fitter.stop()
        self._fitter.disconnect("timeout()", self._choose_columns)
        self._table.horizontalHeader().disconnect("sectionResized(int,int,int)", self._on_width)
        self._table.disconnect("currentCellChanged(int,int,int,int)", self._show_rest)
        self._waiting = []

    def _go_on(self) -> None:
        """Write some of the remaining rows, and schedule the others."""
        now, self._waiting = self._waiting[:ROWS_AT_ONCE], self._waiting[ROWS_AT_ONCE:]
        for number in now:
            self._write(number, self._rows[number], self._rows[number][0] == self._current)
        if self._waiting:
            self._timer.start()
        if now and (not self._waiting or now[0] == 0):
            self._measure()
        if now:
            self._show_rest()

    def _measure(self) -> None:
        """Measure the column widths, and show the columns that fit."""
        for column in GO_FIRST:
            self._table.setColumnHidden(column, False)
        self._table.resizeColumnsToContents()
        self._table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)  # undone by the measuring
        self._widths = [self._table.columnWidth(column) for column in range(self._table.columnCount)]
        self._room = None
        self._choose_columns()

    def _on_width(self, *_section: int) -> None:
        """Handle a changed width of the table."""
        if self._widths and self._table.viewport().width != self._room:
            self._fitter.start()

    def _choose_columns(self) -> None:
        """Show the columns that fit, at their full width."""
        self._room = self._table.viewport().width
        missing = NAME_WIDTH + sum(self._widths[1:]) - self._room
        for column in GO_FIRST:
            self._table.setColumnHidden(column, missing > 0)
            missing -= self._widths[column]
        for column, width in enumerate(self._widths):
            if column > 0 and not self._table.isColumnHidden(column):
                self._table.setColumnWidth(column, width)
        self._show_rest()

    def _show_rest(self, *_cells: int) -> None:
        """Show the content of hidden columns for the selected row below the table."""
        row = self._table.currentRow()
        hidden = [column for column in sorted(GO_FIRST) if self._table.isColumnHidden(column)]
        items = [(column, self._table.item(row, column)) for column in hidden] if row >= 0 else []
        said = [
            _("{title}: {value}").format(title=self._table.horizontalHeaderItem(column).text(), value=item.text())
            for column, item in items
            if item is not None and item.text()
        ]
        self._below.text = "\n".join(["; ".join(said), self._signs] if said else [self._signs])

    def _select(self, current: int | None) -> None:
        number = next((n for n, row in enumerate(self._rows) if row[0] == current), None)
        if number is None:
            self._table.clearSelection()
        else:
            self._table.selectRow(number)
            if self._table.item(number, 0) is None:
                self._write(number, self._rows[number], True)
            self._table.scrollToItem(self._table.item(number, 0))

    def _write(self, number: int, row: Row, bold: bool) -> None:
        _index, case, record = row
        checks, tip = checks_words(case, record)
        texts = (
            isolated(case.id),
            grade_text(record, self._task()),
            confidence_text(record),
            short_grade(record.reader_grade, self._task()) if record.reader_grade is not None else "",
            _("yes") if record.reviewed is not None else "",
            checks,
            images_words(case),
        )
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(as_is(tip if column == 5 else text))
            if column == 0:
                font = item.font()
                font.setBold(bold)
                item.setFont(font)
            self._table.setItem(number, column, item)


def images_words(case: ListedCase) -> str:
    """Return "CT FDG Ac M" for the images and masks listed for a case."""
    names = {Modality.CT: _("CT"), Modality.FDG: _("FDG"), Modality.ACETATE: _("Ac")}
    masks = [_("M")] if case.has_masks else []
    return " ".join([*(names[modality] for modality in Modality if modality in case.modalities), *masks])


def checks_words(case: ListedCase, record: CaseReview) -> tuple[str, str]:
    """Return the result of the checks, as a word and in full."""
    if record.failure is not None:
        return _("failed"), translated(text_from(record.failure.get("text"), record.failure["reason"]))
    if case.problems and record.answer is None:
        return _("incomplete"), "\n".join(map(translated, case.problems))
    if record.answer is None:
        return "", ""
    found = record.answer["findings"]  # all findings, as the panel shows them when the case is opened
    if not found:
        return _("fine"), _("The checks found nothing wrong.")
    texts = (
        translated(finding_from(finding).message if "message" in finding else finding["code"]) for finding in found
    )  # old reviews contain codes only
    return _("{count} found").format(count=len(found)), "\n".join(texts)


def grade_text(record: CaseReview, task: Task) -> str:
    """Return the model's grade in a word."""
    if record.answer is None:
        return ""
    grade = _("none") if record.answer["grade"] is None else short_grade(record.answer["grade"], task)
    return _("{grade} (old masks)").format(grade=grade) if record.answer["outdated"] else grade


def confidence_text(record: CaseReview) -> str:
    """Return "83 %", or "44 % ?" if the model is uncertain."""
    if record.confidence is None:
        return ""
    return f"{100 * record.confidence:.0f} %" + (" ?" if record.answer["uncertain"] else "")
