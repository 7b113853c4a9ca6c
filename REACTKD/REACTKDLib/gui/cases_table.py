"""The table of a list: a row for each case, and only those rows written again that changed."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.findings import finding_from
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.review.record import CaseReview
from REACTKDLib.core.text import text_from
from REACTKDLib.gui.words import short_grade
from REACTKDLib.scene.translation import translated

Row = tuple[int, ListedCase, CaseReview]
ROW_HEIGHT = 22
ROWS_SEEN = 5  # more are scrolled to: the answer is seen below the table
ROWS_AT_ONCE = 50  # a hundredth of a second or two; the rest of a long list follows


class CasesTable:
    """Fills a QTableWidget, a long one in parts: rows that are not written yet are empty for a moment."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._rows: list[Row] = []
        self._current: int | None = None
        self._waiting: list[int] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._go_on)
        titles = (_("Case"), _("Grade"), _("Conf."), _("Reader"), _("Done"), _("Checks"), _("Images"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(list(titles))
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
        """Return which case of the list a row shows."""
        return self._rows[row][0] if 0 <= row < len(self._rows) else None

    def show(self, rows: list[Row], current: int | None) -> None:
        """Show these rows; the case at hand is bold and selected."""
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
        else:  # whoever read a long list has taken his share of this slot
            self._timer.start()
        if moved or not same_cases:
            self._select(current)

    def _fit(self, rows: int) -> None:
        """No higher than the rows need, with room for a scroll bar."""
        self._table.horizontalHeader().setFixedHeight(ROW_HEIGHT)
        self._table.horizontalHeader().setHighlightSections(False)
        bar, frame = self._table.horizontalScrollBar().height, 2 * self._table.frameWidth
        self._table.setFixedHeight((1 + min(max(rows, 2), ROWS_SEEN)) * ROW_HEIGHT + min(bar, ROW_HEIGHT) + frame)

    def close(self) -> None:
        """Write no more."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._go_on)
        self._waiting = []

    def _go_on(self) -> None:
        """Write some of the rows that wait, and come back for the others."""
        now, self._waiting = self._waiting[:ROWS_AT_ONCE], self._waiting[ROWS_AT_ONCE:]
        for number in now:
            self._write(number, self._rows[number], self._rows[number][0] == self._current)
        if self._waiting:
            self._timer.start()
        if now and (not self._waiting or now[0] == 0):
            self._table.resizeColumnsToContents()

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
            case.id,
            grade_text(record),
            confidence_text(record),
            short_grade(record.reader_grade) if record.reader_grade is not None else "",
            _("yes") if record.reviewed is not None else "",
            checks,
            images_words(case),
        )
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(tip if column == 5 else text)
            if column == 0:
                font = item.font()
                font.setBold(bold)
                item.setFont(font)
            self._table.setItem(number, column, item)


def images_words(case: ListedCase) -> str:
    """Return "CT FDG Ac M" for what a case is listed with."""
    names = {Modality.CT: _("CT"), Modality.FDG: _("FDG"), Modality.ACETATE: _("Ac")}
    masks = [_("M")] if case.has_masks else []
    return " ".join([*(names[modality] for modality in Modality if modality in case.modalities), *masks])


def checks_words(case: ListedCase, record: CaseReview) -> tuple[str, str]:
    """Return what the checks say, in a word and in full."""
    if record.failure is not None:
        return _("failed"), translated(text_from(record.failure.get("text"), record.failure["reason"]))
    if case.problems and record.answer is None:
        return _("incomplete"), "\n".join(map(translated, case.problems))
    if record.answer is None:
        return "", ""
    found = record.answer["findings"]  # all of them, as the panel shows them when the case is opened
    if not found:
        return _("fine"), _("The checks found nothing wrong.")
    texts = (
        translated(finding_from(finding).message if "message" in finding else finding["code"]) for finding in found
    )  # reviews of old have codes alone
    return _("{count} to see").format(count=len(found)), "\n".join(texts)


def grade_text(record: CaseReview) -> str:
    """Return the model's grade in a word."""
    if record.answer is None:
        return ""
    grade = _("none") if record.answer["grade"] is None else short_grade(record.answer["grade"])
    return _("{grade} (old masks)").format(grade=grade) if record.answer["outdated"] else grade


def confidence_text(record: CaseReview) -> str:
    """Return "83 %", or "44 % ?" where the model is uncertain."""
    if record.confidence is None:
        return ""
    return f"{100 * record.confidence:.0f} %" + (" ?" if record.answer["uncertain"] else "")
