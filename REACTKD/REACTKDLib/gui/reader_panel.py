"""Section Reader: the reader's name, notes on the open case, and the reader study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.review.readers import UNNAMED
from REACTKDLib.core.review.readers_table import readers_csv
from REACTKDLib.core.review.study import DIFFICULTIES
from REACTKDLib.core.text import isolated
from REACTKDLib.core.writing.atomic import write_text
from REACTKDLib.gui.dialogs import all_files, ask_target
from REACTKDLib.gui.reader_name import ask_name, kept_name
from REACTKDLib.gui.section import Section
from REACTKDLib.gui.words import plain
from REACTKDLib.scene.reading import Reading

REST_MS = 600  # after the last letter of a comment


class ReaderPanel(Section):
    """Name, difficulty, comment; the switch of a study; the table of all readers."""

    ui_file = "ReaderPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self.reading: Reading = context.reading
        self._filling = False
        self._typed: tuple[str, str] | None = None  # a case, and its comment that is not stored yet
        self._saved = ""
        ui = self.ui
        words = (_("not marked"), _("Easy"), _("Moderate"), _("Hard"))
        ui.difficultyComboBox.addItems(list(words))
        ui.changeReaderButton.connect("clicked(bool)", self.on_change_reader)
        ui.difficultyComboBox.connect("activated(int)", self.on_difficulty)
        ui.commentEdit.connect("textChanged()", self.on_comment)
        ui.studyCheckBox.connect("toggled(bool)", self.on_study)
        ui.seedSpinBox.connect("editingFinished()", self.on_seed)
        ui.saveReadersButton.connect("clicked(bool)", self.on_table)
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(REST_MS)
        self.timer.connect("timeout()", self.keep_comment)
        self.reading.changed.connect(self._refresh_if_open)
        self.context.inputs_changed.connect(self._refresh_if_open)
        self.reading.closing.connect(self.keep_comment)
        self.reading.uncovered.connect(self.on_uncovered)
        place.collapsed = True
        self.reading.read_as(kept_name())
        self.refresh()

    @classmethod
    def title(cls) -> str:
        """Title of the button; `refresh` adds the name."""
        return _("Reader")

    # actions

    def on_change_reader(self, _checked: bool = False) -> None:
        """Change the name: the open case is saved, and opened again as that reader left it."""
        self.reading.read_as(ask_name())
        self.refresh()

    def on_difficulty(self, index: int) -> None:
        """Set the difficulty of the case."""
        case = self.context.marked_case
        if case is not None:
            self.reading.set_difficulty(case.id, None if index == 0 else DIFFICULTIES[index - 1])

    def on_comment(self) -> None:
        """The text changed; it is stored after a pause in typing, or before another case is opened."""
        case = self.context.marked_case
        if not self._filling and case is not None:
            self._typed = case.id, self.ui.commentEdit.plainText
            self.timer.start()

    def keep_comment(self) -> None:
        """Store the typed comment, for its case."""
        self.timer.stop()
        typed, self._typed = self._typed, None
        if typed is not None and self.reading.review is not None:
            self.reading.set_comment(*typed)

    def on_study(self, on: bool) -> None:
        """Start or end a study; ending needs confirmation, since results are shown then."""
        if self._filling or self.reading.cases is None:
            return
        question = _(
            "End the study? The model's answers of this list are shown then, also of cases without your grade."
        )
        if on:
            self.reading.start_study(self.ui.seedSpinBox.value)
        elif slicer.util.confirmOkCancelDisplay(question):
            self.reading.end_study()
        self.refresh()

    def on_seed(self) -> None:
        """Change the order in a running study."""
        study = self.reading.study.study if self.reading.in_study else None
        if not self._filling and study is not None and study.seed != self.ui.seedSpinBox.value:
            self.reading.start_study(self.ui.seedSpinBox.value)

    def on_uncovered(self) -> None:
        """The first grade was given, so the result may be shown."""
        if not self.context.suspended:
            self.context.grade()

    def on_table(self, _checked: bool = False) -> None:
        """Save the marks of all readers, for statistics; edits are saved first, since it omits results for earlier
        masks.
        """
        reading = self.reading
        if reading.cases is None:
            return
        self.keep_comment()
        name = f"{reading.cases.path.stem}-readers.csv"
        path = ask_target(_("Save the table of all readers"), name, all_files(_("Tables"), "*.csv"))
        if path is not None:
            reading.save(lambda: self._write_table(path))

    def _write_table(self, path: Path) -> None:
        try:
            write_text(path, readers_csv(self.reading.cases, self.reading.review))
            self._saved = _("Saved as {name}.").format(name=isolated(path.name))
        except ReactkdError as error:
            self._saved = plain(error)
        self.refresh()

    # display

    def refresh(self) -> None:
        """Show the reader and the notes on the open case."""
        case = self.context.marked_case
        if self._typed is not None and (case is None or case.id != self._typed[0]):
            self.keep_comment()
        self._filling = True
        try:
            self._show_name()
            self._show_case()
            self._show_study()
        finally:
            self._filling = False

    def _show_name(self) -> None:
        name = self.reading.reader
        self.ui.readerNameLabel.text = name if name != UNNAMED else _("You read without a name.")
        self.ui.changeReaderButton.enabled = not self.reading.locked
        title = _("Reader: {name}").format(name=name) if name != UNNAMED else self.title()
        if self.reading.in_study:
            title = _("{title} (study)").format(title=title)
        self.place.text = title

    def _show_case(self) -> None:
        case, ui = self.context.marked_case, self.ui
        ui.readerCaseWidget.visible = case is not None
        if case is None:
            return
        record = self.reading.review.of(case.id)
        level = (record.difficulty or {}).get("level")
        place = 1 + DIFFICULTIES.index(level) if level in DIFFICULTIES else 0
        if ui.difficultyComboBox.currentIndex != place:
            ui.difficultyComboBox.setCurrentIndex(place)
        text = (record.comment or {}).get("text", "")
        if self._typed is None and ui.commentEdit.plainText.strip() != text:
            ui.commentEdit.plainText = text

    def _show_study(self) -> None:
        reading, ui = self.reading, self.ui
        has_list = reading.cases is not None
        ui.studyWidget.visible = has_list
        if not has_list:
            self._saved = ""
        ui.readerMessageLabel.text = self._saved
        ui.readerMessageLabel.visible = bool(self._saved)
        if not has_list:
            return
        ui.studyCheckBox.checked = reading.in_study
        ui.studyCheckBox.enabled = ui.seedSpinBox.enabled = not reading.locked
        if reading.in_study and not ui.seedSpinBox.hasFocus():
            ui.seedSpinBox.value = reading.study.study.seed
        records = [reading.review.of(case.id) for case in reading.cases.cases]
        first = sum(record.unaided is not None for record in records)
        words = _("{first} of {count} cases graded without the model's result, {second} finished with it.")
        second = sum(record.aided is not None for record in records)
        ui.studyLabel.text = words.format(first=first, second=second, count=len(records))
        ui.studyLabel.visible = reading.in_study or first > 0
        hides = reading.in_study and first < len(records)
        ui.saveReadersButton.enabled = not (hides or reading.locked)

    def before_scene_closes(self) -> None:
        """Store the typed comment."""
        super().before_scene_closes()
        self.keep_comment()

    def cleanup(self) -> None:
        """Store the typed comment, and release everything."""
        self.keep_comment()
        self.timer.disconnect("timeout()", self.keep_comment)
        self.reading.changed.disconnect(self._refresh_if_open)
        self.context.inputs_changed.disconnect(self._refresh_if_open)
        self.reading.closing.disconnect(self.keep_comment)
        self.reading.uncovered.disconnect(self.on_uncovered)
        super().cleanup()
