"""Section Cases: a list of cases and navigation through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.review.arrangement import ORDERS
from REACTKDLib.core.review.stored_answers import StoredAnswers
from REACTKDLib.core.text import isolated
from REACTKDLib.gui.cases_table import CasesTable
from REACTKDLib.gui.dialogs import all_files, ask_file, ask_folder
from REACTKDLib.gui.folding import Folding
from REACTKDLib.gui.keys import shortcuts, with_key
from REACTKDLib.gui.packages import missing_packages
from REACTKDLib.gui.reader_name import name_asked_once
from REACTKDLib.gui.section import Section
from REACTKDLib.gui.settings_panel import grades_on_opening
from REACTKDLib.gui.views import show_case
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.translation import translated

LOOK_MS = 2000


class CasesPanel(Section):
    """The list of cases and navigation through it."""

    ui_file = "CasesPanel.ui"
    follows = ("inputs_changed",)  # and the list's own signal

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self.reading: Reading = context.reading
        self.table = CasesTable(self.ui.casesTable, self.ui.signsLabel, lambda: context.task)
        self.folding = Folding(place)
        self._keys = shortcuts({"next case": self.on_next, "previous case": self.on_previous})
        self._ahead: Any = None
        self._review_later = False
        self._sought: Any = None  # the reviewed result for which the stored one was last looked up
        ui = self.ui
        for button, action in ((ui.nextCaseButton, "next case"), (ui.previousCaseButton, "previous case")):
            button.toolTip = with_key(button.toolTip, action)
        ui.openListButton.connect("clicked(bool)", self.on_open_list)
        ui.openFolderButton.connect("clicked(bool)", self.on_open_folder)
        ui.closeListButton.connect("clicked(bool)", self.on_close_list)
        ui.previousCaseButton.connect("clicked(bool)", self.on_previous)
        ui.nextCaseButton.connect("clicked(bool)", self.on_next)
        ui.todoCheckBox.connect("toggled(bool)", self.on_todo)
        words = (_("As listed"), _("Least certain first"), _("Most certain first"), _("Most findings first"))
        ui.orderComboBox.addItems(list(words))
        ui.orderComboBox.connect("activated(int)", self.on_order)
        ui.searchEdit.connect("textChanged(QString)", self.on_search)
        ui.casesTable.connect("cellDoubleClicked(int,int)", self.on_row)
        ui.stayButton.connect("clicked(bool)", self.on_stay)
        ui.discardButton.connect("clicked(bool)", self.on_discard)
        self.reading.changed.connect(self._refresh_if_open)
        self.reading.changed.connect(self.on_review)
        self.reading.opened.connect(self.on_opened)
        context.result_changed.connect(self.on_result)
        context.controller.outputs_changed.connect(self.on_outputs)
        context.inputs_changed.connect(self.on_inputs)
        self.timer = qt.QTimer()
        self.timer.setInterval(LOOK_MS)
        self.timer.connect("timeout()", self.on_timer)
        self.timer.start()
        self.refresh()

    # the list

    def on_open_list(self, _checked: bool = False) -> None:
        """Choose a file."""
        path = ask_file(_("Open a list of cases"), all_files(_("Lists of cases"), "*.csv *.xlsx *.json"))
        if path is not None:
            self._open(path)

    def on_open_folder(self, _checked: bool = False) -> None:
        """Choose a folder of case folders."""
        path = ask_folder(_("Open a folder of cases"))
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        name = name_asked_once()
        if self.reading.cases is None:
            self.reading.read_as(name)
        self.reading.open_list(path, name)  # the open case is not opened again for it

    def on_close_list(self, _checked: bool = False) -> None:
        """Close the list; the current case is saved and removed from the scene."""
        self.reading.close_list()

    def on_timer(self) -> None:
        """Save edits in the background, load changes of other windows, and retry failed saves."""
        if not self.context.suspended:
            self.reading.look_around()

    # navigation

    def on_next(self, _checked: bool = False) -> None:
        """Open the next case."""
        self.reading.go_on(1)

    def on_previous(self, _checked: bool = False) -> None:
        """Open the previous case."""
        self.reading.go_on(-1)

    def on_row(self, row: int, _column: int = 0) -> None:
        """Open the case of a double-clicked row."""
        index = self.table.index_at(row)
        if index is not None:
            self.reading.go_to(index)

    def on_todo(self, on: bool) -> None:
        """Skip reviewed cases, or not."""
        self.reading.todo_only = on
        self.refresh()

    def on_order(self, index: int) -> None:
        """Change the order of the table and of Next."""
        self.reading.arrangement.order = ORDERS[index]
        self.refresh()

    def on_search(self, text: str) -> None:
        """Show only cases whose name contains this text."""
        self.reading.arrangement.search = text
        self.refresh()

    def on_stay(self, _checked: bool = False) -> None:
        """Stay with the case whose masks could not be saved."""
        self.reading.answer(leave=False)

    def on_discard(self, _checked: bool = False) -> None:
        """Leave the case without saving."""
        self.reading.answer(leave=True)

    def on_opened(self) -> None:
        """Make the case in the scene, or none, the current case."""
        if self.context.suspended:
            return
        listed, self._ahead = self.reading.loader.loaded, None
        if listed is None:
            self.context.close_case()
            return
        self.context.open_case(listed.nodes, listed.choice)
        show_case(listed.nodes)
        if grades_on_opening() and not self.context.answer_hidden:
            self.context.grade()
        elif self.context.report is None:
            self._show_stored()

    def _show_stored(self) -> None:
        """Show the case's earlier result, from a batch or an earlier session, at once."""
        reading = self.reading
        case = reading.current
        if case is None or self.context.nodes is None:
            return
        files = [*case.job.images.values(), *(case.job.mask_files or ())]
        files += [case.job.segmentation] if case.job.segmentation is not None else []
        stored = StoredAnswers(reading.cases, reading.review).of(case, files)
        if stored is not None:
            self.context.show_stored(stored)

    # the model's result

    def on_review(self) -> None:
        """Show the result of a batch for the open case if it matches the current masks; during other work, after it."""
        context, reading = self.context, self.reading
        if context.suspended or context.listed_case is None:
            return
        self._review_later = context.busy or reading.busy
        answer = reading.review.of(context.listed_case.id).answer
        if self._review_later or answer is None or answer["outdated"] or answer == self._sought or reading.edited:
            return
        if context.shows_stored and context.stored.is_of(answer):
            return
        if context.report is None or context.shows_stored:
            self._sought = answer
            self._show_stored()

    def poll(self) -> None:
        """Show a result that came during other work."""
        if self._review_later:
            self.on_review()

    def on_result(self) -> None:
        """Store a new result in the review."""
        report = self.context.report
        if not self.context.suspended and report is not None and self.context.listed_case is not None:
            if self.context.controller.answer is None:  # an earlier result, already in the review
                self.reading.answer_shown()
                return
            if not self.reading.record(report, holds=not self.context.controller.masks_changed()):
                self.context.set_message(
                    _(
                        "An image of this case, or its position, was changed in the scene, so this answer is not kept "
                        "with the list. Open the case again to grade it as in its files."
                    )
                )
            elif not StoredAnswers(self.reading.cases, self.reading.review).keep(self.reading.current, report):
                self.context.set_message(
                    _("The result could not be saved beside the list; save it in the section Report.")
                )

    def on_outputs(self, _parameter_node: Any) -> None:
        """Prefetch the next case, once, while the result is viewed."""
        if self.context.suspended or self.context.listed_case is None:
            return
        files = self.reading.next_files()
        if files is not None and files != self._ahead and not missing_packages():
            self._ahead = files
            self.context.controller.read_ahead(files)

    def on_inputs(self) -> None:
        """Store segments chosen by hand with corrected masks."""
        if self.context.suspended or self.context.listed_case is None:
            return
        state = self.context.state
        by_hand = state.livers is not None or state.tumors is not None
        self.reading.chosen = self.context.choice if by_hand else None

    # display

    def refresh(self) -> None:
        """Show the list and the current position."""
        self.table.show(self.reading.rows(), self.reading.index)
        self._show_list()

    def _show_list(self) -> None:
        reading, ui = self.reading, self.ui
        has_list, locked = reading.cases is not None, reading.locked
        ui.listLabel.text = words = self._list_words()
        self.folding.say(words.rstrip(".") if has_list else "")
        for button in (ui.openListButton, ui.openFolderButton):
            button.enabled = not locked
        ui.closeListButton.enabled = has_list and not locked
        for widget in (ui.previousCaseButton, ui.nextCaseButton, ui.casesTable):
            widget.enabled = has_list and not locked
        for widget in (ui.casesTable, ui.signsLabel, ui.searchEdit, ui.orderComboBox, ui.todoCheckBox):
            widget.visible = has_list
        for widget in (ui.previousCaseButton, ui.nextCaseButton):
            widget.visible = has_list
        ui.orderComboBox.enabled = not reading.in_study
        ui.casesMessageLabel.text = self._message()
        ui.casesMessageLabel.visible = bool(ui.casesMessageLabel.text)
        ui.questionWidget.visible = reading.question is not None
        ui.questionLabel.text = translated(reading.question.text) if reading.question is not None else ""
        problem = reading.review.problem if reading.review is not None else ""
        ui.reviewProblemLabel.text = translated(problem)
        ui.reviewProblemLabel.visible = bool(problem)

    def _list_words(self) -> str:
        reading = self.reading
        if reading.cases is None:
            return _("Open a list or a folder of cases to go through them one by one.")
        every = reading.cases.cases
        done = sum(reading.review.of(case.id).reviewed is not None for case in every)
        words = _("{name}: {count} cases, {done} reviewed.")
        if reading.index is not None:
            words = _("{name}: case {place} of {count}, {done} reviewed.")
        return words.format(name=isolated(reading.cases.path.name), place=reading.place, count=len(every), done=done)

    def _message(self) -> str:
        reading = self.reading
        if reading.loader.doing and not reading.quiet:
            return _("{doing}...").format(doing=translated(reading.loader.doing))
        if not reading.message and reading.cases is not None and reading.index is None:
            return _("Double-click a case, or press Next, to begin.")
        return translated(reading.message)

    # lifecycle

    def enter(self) -> None:
        """Claim the keys for Next and Previous while the module is open."""
        self._keys.claim(self.root)

    def exit(self) -> None:
        """Release the keys."""
        self._keys.release()

    def before_scene_closes(self) -> None:
        """Save edits while their nodes exist; the list stays open."""
        super().before_scene_closes()
        self.reading.before_scene_closes()

    def cleanup(self) -> None:
        """Save pending changes, and release everything."""
        self.exit()
        self.timer.stop()
        self.timer.disconnect("timeout()", self.on_timer)
        self.table.close()
        self.folding.close()
        self.reading.changed.disconnect(self._refresh_if_open)
        self.reading.changed.disconnect(self.on_review)
        self.reading.opened.disconnect(self.on_opened)
        self.context.result_changed.disconnect(self.on_result)
        self.context.controller.outputs_changed.disconnect(self.on_outputs)
        self.context.inputs_changed.disconnect(self.on_inputs)
        self.reading.close()
        super().cleanup()
