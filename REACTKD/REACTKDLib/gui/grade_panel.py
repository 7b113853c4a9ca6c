"""Section Grade: the button, the result in large text, its probabilities, and the reader's grade beside it."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.errors import PatientMismatch
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.reports.set_words import set_words
from REACTKDLib.core.text import sentence
from REACTKDLib.gui.context import HIDDEN
from REACTKDLib.gui.findings import computation_messages
from REACTKDLib.gui.keys import shortcuts, with_key
from REACTKDLib.gui.plain_text import as_is, escaped, plain_label
from REACTKDLib.gui.reader_mark import ReaderMark
from REACTKDLib.gui.section import Section, empty_layout
from REACTKDLib.gui.words import clinical_use_words, grade_words, image_words, joined, short_grade
from REACTKDLib.scene.dicom_origin import allow_different_patients
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.translation import translated

WARM_UP_MS = 1500  # after the inputs were chosen, which are shown first
BAR_HEIGHT = 18


def _large(text: str) -> str:
    """Return words as rich text, large and bold."""
    return f'<span style="font-size: large; font-weight: bold">{escaped(text)}</span>'


class GradePanel(Section):
    """Buttons and texts follow the state of the controller."""

    ui_file = "GradePanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self._bars: dict[str, Any] = {}
        self._filling = False
        ui = self.ui
        self.mark = ReaderMark(ui, context.reading, lambda: context.marked_case)
        self._keys = shortcuts({"grade": self._on_key, **self.mark.actions()})
        ui.gradeButton.connect("clicked(bool)", self.on_grade)
        ui.cancelButton.connect("clicked(bool)", self.on_cancel)
        ui.samePatientButton.connect("clicked(bool)", self.on_same_patient)
        ui.liveCheckBox.connect("toggled(bool)", self.on_live)
        self.warm_up_timer = qt.QTimer()
        self.warm_up_timer.setSingleShot(True)
        self.warm_up_timer.setInterval(WARM_UP_MS)
        self.warm_up_timer.connect("timeout()", self.on_warm_up)
        context.inputs_changed.connect(self.on_inputs)
        context.progress_changed.connect(self.on_progress)
        context.reading.changed.connect(self._refresh_if_open)
        ui.probabilityWidget.layout().setContentsMargins(0, 0, 0, 0)
        ui.probabilityWidget.layout().setVerticalSpacing(2)
        self.refresh()

    def on_inputs(self) -> None:
        """Prepare for grading when a case or other inputs are chosen."""
        if not self.context.suspended and self.context.nodes is not None:
            self.warm_up_timer.start()

    def on_progress(self) -> None:
        """Show the progress."""
        if not self.context.suspended:
            self._show_state()

    def on_warm_up(self) -> None:
        """Load libraries in advance of the first grade."""
        if not self.context.suspended:
            self.context.warm_up()

    def on_grade(self, _checked: bool = False) -> None:
        """Grade. In a study this fixes the reader's grade, and the result is shown."""
        if self.context.answer_hidden:
            self.context.reading.show_answer()
        else:
            self.context.grade()

    def _on_key(self) -> None:
        if self.ui.gradeButton.enabled:
            self.on_grade()

    def enter(self) -> None:
        """Claim the keys for grading and for the reader's grade while the module is open."""
        self._keys.claim(self.root)

    def exit(self) -> None:
        """Release the keys."""
        self._keys.release()

    def on_cancel(self, _checked: bool = False) -> None:
        """Stop; nothing is written."""
        self.context.cancel()

    def on_same_patient(self, _checked: bool = False) -> None:
        """The user confirms that the headers state one patient differently."""
        allow_different_patients(self.context.nodes.segmentation)
        self.context.grade()

    def on_live(self, on: bool) -> None:
        """Grade again after each mask edit, or not."""
        if not self._filling:
            self.context.state.live = on
            self.context.changed()

    def cleanup(self) -> None:
        """Release everything."""
        self._keys.release()
        self.warm_up_timer.stop()
        self.warm_up_timer.disconnect("timeout()", self.on_warm_up)
        self.context.inputs_changed.disconnect(self.on_inputs)
        self.context.progress_changed.disconnect(self.on_progress)
        self.context.reading.changed.disconnect(self._refresh_if_open)
        super().cleanup()

    def refresh(self) -> None:
        """Show state, result and choices."""
        self._filling = True
        try:
            self._show_state()
            self._show_answer(self.context.report)
            self.mark.refresh()
            self.ui.liveCheckBox.checked = self.context.state.live
        finally:
            self._filling = False

    def _show_state(self) -> None:
        context, ui = self.context, self.ui
        controller = context.controller
        running, canceling = (controller.state is s for s in (RunState.RUNNING, RunState.CANCELING))
        ready = context.nodes is not None
        ui.gradeButton.enabled = ready and not context.busy
        ui.gradeButton.text = _("Grade again") if context.report is not None else _("Grade")
        tip = with_key(_("Grade the case and color its regions."), "grade")
        ui.gradeButton.toolTip = tip if ready else as_is(context.problem)
        if context.answer_hidden:
            ui.gradeButton.enabled = ready and not context.busy and self._has_reader_grade()
            ui.gradeButton.text = _("Confirm grade, show result")
            ui.gradeButton.toolTip = _("Your grade is recorded as it is now; then the model's result is shown.")
        if ready and context.leaving:
            ui.gradeButton.enabled = False
            ui.gradeButton.toolTip = as_is(context.leaving)
        ui.samePatientButton.enabled = not context.leaving
        ui.cancelButton.enabled = running
        ui.cancelButton.visible = context.busy
        fraction, text = controller.progress
        ui.progressBar.visible = context.busy
        ui.progressBar.value = round(100 * fraction)
        ui.stateLabel.text = self._state_words(running, canceling, text)
        ui.stateLabel.visible = bool(ui.stateLabel.text)
        refused = controller.error is not None and controller.error_code == PatientMismatch.code
        ui.samePatientButton.visible = refused and ready and not context.busy and not context.message

    def _has_reader_grade(self) -> bool:
        reading = self.context.reading
        return reading.current is not None and reading.review.of(reading.current.id).reader_grade is not None

    def _state_words(self, running: bool, canceling: bool, progress: str) -> str:
        context = self.context
        if canceling:
            return _("Stopping...")
        if running:
            return _("{step}...").format(step=translated(progress)) if progress else _("Starting...")
        if context.message or context.controller.error:
            return context.message or translated(context.controller.error)
        if context.nodes is None:
            return context.problem
        if context.answer_hidden:
            return HIDDEN
        if context.shows_stored:
            return self._stored_words()
        if context.outdated:
            return _("Masks or inputs have changed since this grade. Grade again to update it.")
        if context.other_model:
            return _("This grade is of another model than the one that is chosen. Grade again to update it.")
        if context.report is None:
            return _("Ready to grade.")
        if context.parameter_node is not None and context.outputs is None:
            return _("Nodes of this result were deleted, so the views do not show it. Grade again to draw them.")
        return ""

    def _stored_words(self) -> str:
        """Return a note that the result is not from this session, and what has changed since."""
        context, stored = self.context, self.context.stored
        changes = [
            (context.masks_outdated, _("the masks")),
            (context.images_outdated and not stored.files_changed, _("the images")),
            (stored.files_changed, _("files of the list")),
            (context.other_model, _("the model")),
        ]
        changed = [words for is_so, words in changes if is_so]
        day = stored.at[:10]
        if changed:
            text = _("Stored result of {day}; since then {what} changed. Grade again to update it.")
            return text.format(day=day, what=joined(changed))
        return _("Stored result of {day}. Grade again to color its regions in the views.").format(day=day)

    def _show_answer(self, report: GradeReport | None) -> None:
        ui = self.ui
        ui.gradeLabel.visible = ui.detailsLabel.visible = report is not None
        ui.probabilityWidget.visible = report is not None and report.grade is not None
        messages = computation_messages(report)
        ui.gradeFindingsLabel.text = "\n".join(messages)
        ui.gradeFindingsLabel.visible = bool(messages)
        ui.clinicalUseLabel.text = self._clinical_use(report)
        if report is None:
            return
        ui.gradeLabel.text = self._headline(report)
        ui.detailsLabel.text = " ".join(filter(None, [self._set_words(report), self._details(report)]))
        took = _("The computation took {seconds} s.")
        ui.detailsLabel.toolTip = took.format(seconds=f"{report.timing_ms.get('total', 0.0) / 1000:.1f}")
        self._show_bars(report)

    @staticmethod
    def _headline(report: GradeReport) -> str:
        if report.grade is None:
            return _("{headline} No lesion is marked, so there is nothing to grade.").format(
                headline=_large(_("No grade."))
            )
        grade = grade_words(report.grade, report.task)
        if report.uncertain:
            text = _("{headline} The most probable grade, {grade}, leads by little or is itself unlikely.")
            return text.format(headline=_large(_("Uncertain.")), grade=escaped(grade.lower()))
        return _large(grade)

    @staticmethod
    def _set_words(report: GradeReport) -> str:
        return translated(set_words(report, lambda name: short_grade(name, report.task).lower()))

    @staticmethod
    def _details(report: GradeReport) -> str:
        inputs = joined([image_words(name) for name in report.inputs])
        device = _("GPU") if report.device.startswith("cuda") else _("CPU")
        text = _("Computed from {inputs} on the {device} by the model {name} {version}.")
        return text.format(inputs=inputs, device=device, name=report.model.name, version=report.model.version)

    def _clinical_use(self, report: GradeReport | None) -> str:
        if report is not None:
            words = clinical_use_words(report.model.clinical_use.strip().rstrip("."))
            return _("{clinical_use}.").format(clinical_use=sentence(words))
        if self.context.state.model:
            return _("What the chosen model may be used for is shown with its result.")
        return _("The shipped model is trained on digital phantoms: not for clinical use.")

    def _show_bars(self, report: GradeReport) -> None:
        probabilities = report.probabilities or {}
        spread = report.ensemble.spread if report.ensemble is not None else {}
        layout = self.ui.probabilityWidget.layout()
        if list(self._bars) != list(probabilities):
            empty_layout(layout)
            self._bars = {}
            for grade in probabilities:
                bar = qt.QProgressBar()
                bar.setMaximumHeight(BAR_HEIGHT)
                bar.objectName = f"probabilityBar_{grade}"
                layout.addRow(plain_label(short_grade(grade, report.task)), bar)
                self._bars[grade] = bar
        for grade, value in probabilities.items():
            self._bars[grade].value = round(100 * value)
            self._bars[grade].format = f"{100 * value:.1f} %"
            if grade in spread:
                text = _("{value} % ({low} to {high})")
                low, high = (f"{100 * end:.1f}" for end in (spread[grade].low, spread[grade].high))
                self._bars[grade].format = text.format(value=f"{100 * value:.1f}", low=low, high=high)
