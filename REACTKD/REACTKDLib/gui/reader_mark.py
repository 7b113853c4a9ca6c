"""The reader's own marks beside the result: a grade, whether the case is finished, and the next case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.gui.keys import GRADES as GRADE_KEYS
from REACTKDLib.gui.keys import with_key
from REACTKDLib.gui.words import short_grade
from REACTKDLib.scene.reading import Reading


class ReaderMark:
    """Fills the widgets of the section Grade that belong to the case of a list; hidden without one.

    ui: contains readerWidget and its children. case: returns the marked case, or None.
    """

    def __init__(self, ui: Any, reading: Reading, case: Callable[[], ListedCase | None]) -> None:
        self._ui, self._reading, self._case = ui, reading, case
        self._grades: list[str] = []
        self._filling = False
        ui.readerComboBox.connect("activated(int)", self.on_grade)
        ui.reviewedCheckBox.connect("toggled(bool)", self.on_reviewed)
        ui.reviewedNextButton.connect("clicked(bool)", self.on_reviewed_next)
        ui.readerComboBox.toolTip = with_key(ui.readerComboBox.toolTip, *GRADE_KEYS)
        ui.reviewedNextButton.toolTip = with_key(ui.reviewedNextButton.toolTip, "reviewed, next")

    def actions(self) -> dict[str, Callable[[], None]]:
        """Return the actions of the reader's keys: see `gui.keys`."""
        grades = {action: lambda place=place: self.on_key(place) for place, action in enumerate(GRADE_KEYS, start=1)}
        return {**grades, "reviewed, next": self.on_reviewed_next}

    def on_key(self, place: int) -> None:
        """Choose the grade at a position of the list, from 1."""
        if self._case() is not None and not self._reading.locked and place <= len(self._grades):
            self.on_grade(place)

    def on_grade(self, index: int) -> None:
        """The reader's grade of the case that is open."""
        if self._case() is not None:
            grade = self._grades[index - 1] if index > 0 else None
            self._reading.set_reader_grade(self._case().id, grade)

    def on_reviewed(self, on: bool) -> None:
        """Mark the open case as finished, or not; a finished one is saved, though it stays open."""
        if not self._filling and self._case() is not None:
            if self._reading.set_reviewed(self._case().id, on) and on:
                self._reading.keep()

    def on_reviewed_next(self, _checked: bool = False) -> None:
        """Mark this case as finished, and open the next one."""
        if self._case() is not None and not self._reading.locked:
            if self._reading.set_reviewed(self._case().id, True):
                self._reading.go_on(1)

    def refresh(self) -> None:
        """Show the reader's marks of the open case."""
        case, ui = self._case(), self._ui
        ui.readerWidget.visible = case is not None
        ui.readerWidget.enabled = case is not None and not self._reading.locked
        if case is None:
            return
        record = self._reading.review.of(case.id)
        task = self._reading.loader.task()
        grades = list((record.answer or {}).get("probabilities") or task.class_names)
        if record.reader_grade is not None and record.reader_grade not in grades:
            grades.append(record.reader_grade)
        self._filling = True
        try:
            if grades != self._grades:
                self._grades = grades
                ui.readerComboBox.clear()
                ui.readerComboBox.addItems([_("not graded"), *(short_grade(name, task) for name in grades)])
            place = 0 if record.reader_grade is None else 1 + grades.index(record.reader_grade)
            if ui.readerComboBox.currentIndex != place:
                ui.readerComboBox.setCurrentIndex(place)
            ui.reviewedCheckBox.checked = record.reviewed is not None
        finally:
            self._filling = False
