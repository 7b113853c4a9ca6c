"""Section Training: progress of a REACTKDTrain run, from its output folder, and its model when finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.worker.training_log import Curve
from REACTKDLib.core.worker.training_run import RunReader, TrainingRun, ask_to_stop
from REACTKDLib.gui.learning_curve import draw_curve
from REACTKDLib.gui.section import Section
from REACTKDLib.scene.translation import translated

LOOK_MS = 2000
CURVE_HEIGHT = 220


class TrainingPanel(Section):
    """Reads the folder every two seconds while the module and the section are open."""

    ui_file = "TrainingPanel.ui"
    follows = ("changed", "inputs_changed")  # another model may have been chosen

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        ui = self.ui
        self._reader: RunReader | None = None
        self._run: TrainingRun | None = None
        self._shown: tuple[Curve, int] | None = None
        self._note = self._fault = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(LOOK_MS)
        self._timer.connect("timeout()", self.look)
        self._entered = False
        ui.trainingPathEdit.connect("currentPathChanged(QString)", self.on_folder)
        ui.trainingCurveComboBox.connect("activated(int)", self.on_curve)
        ui.trainingStopButton.connect("clicked(bool)", self.on_stop)
        ui.trainingBundleButton.connect("clicked(bool)", self.on_bundle)
        place.connect("contentsCollapsed(bool)", self.on_collapsed)
        self._show()

    # actions

    def on_folder(self, path: str) -> None:
        """Another output folder."""
        self._reader = RunReader(Path(path)) if path.strip() else None
        self._run, self._shown, self._note = None, None, ""
        self.ui.trainingCurveComboBox.clear()
        self.look()
        self._watch()

    def on_curve(self, _index: int = 0) -> None:
        """Another stage's curve."""
        self._draw()

    def on_stop(self, _checked: bool = False) -> None:
        """Request the run to stop; it keeps its state."""
        if self._run is not None:
            try:
                ask_to_stop(self._run.folder)
                self._note = ""
            except ReactkdError as error:
                self._note = translated(str(error))
            self.look()

    def on_bundle(self, _checked: bool = False) -> None:
        """Grade with the model of this run from now on."""
        if self._run is not None and self._run.bundle is not None:
            self._note = ""
            self.context.use_bundle(self._run.bundle)
            self.look()

    # lifecycle

    def enter(self) -> None:
        self._entered = True
        self._watch()

    def exit(self) -> None:
        self._entered = False
        self._watch()

    def cleanup(self) -> None:
        self._entered = False
        self._timer.stop()
        self._timer.disconnect("timeout()", self.look)
        self.place.disconnect("contentsCollapsed(bool)", self.on_collapsed)
        super().cleanup()

    def on_collapsed(self, _collapsed: bool = False) -> None:
        """The user opened or closed the section."""
        self._watch()

    def _watch(self) -> None:
        """Read the folder only while the section is visible."""
        looking = self._entered and not self.place.collapsed and self._reader is not None
        if looking and not self._timer.isActive():
            self._timer.start()
            self.look()
        elif not looking:
            self._timer.stop()

    def look(self) -> None:
        """Read the folder, and show its state; a message of a button stays visible."""
        self._fault = ""
        if self._reader is not None:
            try:
                self._run = self._reader.read()
            except ReactkdError as error:
                self._run, self._fault = None, translated(str(error))
        self._show()

    # display

    def refresh(self) -> None:
        """Show the messages, and whether the run's model is the one in use."""
        message, bundle = self._fault or self._note, self._run.bundle if self._run is not None else None
        if not message and bundle is not None and self.context.state.model == str(bundle):
            message = _("The module grades with this model now.")
        self.ui.trainingMessageLabel.text = message
        self.ui.trainingMessageLabel.visible = bool(message)

    def _show(self) -> None:
        ui, run = self.ui, self._run
        for part in (ui.trainingStateLabel, ui.trainingProgressBar, ui.trainingStopButton, ui.trainingBundleButton):
            part.visible = run is not None
        self.refresh()
        curves = run is not None and bool(run.curves)
        ui.trainingCurveComboBox.visible = ui.trainingCurveLabel.visible = curves
        if run is None:
            return
        ui.trainingStateLabel.text = "\n".join(state_words(run))
        current = run.current
        ui.trainingProgressBar.value = 100 if run.state == "done" else round(100 * current.fraction) if current else 0
        ui.trainingStopButton.enabled = run.state in ("preparing", "training")
        ui.trainingBundleButton.enabled = run.bundle is not None
        self._offer(run)
        self._draw()

    def _offer(self, run: TrainingRun) -> None:
        """Offer the latest stage, which follows the run, and each stage separately."""
        box = self.ui.trainingCurveComboBox
        texts = [_("Latest stage"), *(curve_words(curve, run.folds) for curve in run.curves)]
        for text in texts[box.count :]:  # stages are only added; a chosen one stays chosen
            box.addItem(text)

    def _draw(self) -> None:
        if self._run is None or not self._run.curves:
            return
        index = self.ui.trainingCurveComboBox.currentIndex
        curve = self._run.curves[index - 1] if 0 < index <= len(self._run.curves) else self._run.curves[-1]
        label = self.ui.trainingCurveLabel
        width = max(self.ui.trainingStateLabel.width, 200)
        if self._shown is not None and self._shown[0] is curve and self._shown[1] == width:
            return
        self._shown = curve, width
        label.setPixmap(draw_curve(curve, width, CURVE_HEIGHT, label.palette))


def state_words(run: TrainingRun) -> list[str]:
    """Return the run, its current step, and its results: one line each."""
    of = _("{n} digital phantoms") if run.phantom else _("{n} cases")
    lines = [
        _("{method} on {cohort}, {cases}.").format(method=run.method, cohort=run.cohort, cases=of.format(n=run.cases))
    ]
    lines.append(_doing(run))
    if run.macro_auc is not None and run.accuracy is not None:
        text = _("On unseen cases: macro AUC {auc}, accuracy {accuracy}.")
        lines.append(text.format(auc=f"{run.macro_auc:.2f}", accuracy=f"{run.accuracy:.2f}"))
    return lines


def _doing(run: TrainingRun) -> str:
    if run.state == "done":
        return _("Done.")
    where = _where(run)
    if run.state == "preparing":
        return _("Preparing the cases.")
    if run.state == "stopped":
        return _("Stopped; what is done is kept. Resume it with --resume. {where}").format(where=where).strip()
    if run.state == "stopping":
        return _("Stopping after the current step. {where}").format(where=where)
    if run.state == "silent":
        text = _("Nothing was written for {minutes} minutes; it may have ended. Resume it with --resume. {where}")
        return text.format(minutes=int(run.quiet_s // 60), where=where).strip()
    return where


def _where(run: TrainingRun) -> str:
    curve = run.current
    if curve is None:
        return ""
    text = _("{stage}, step {step}, loss {loss}.")
    if curve.epochs:
        text = _("{stage}, epoch {epoch} of {epochs}, step {step}, loss {loss}.")
    return text.format(
        stage=curve_words(curve, run.folds),
        epoch=curve.epoch + 1,
        epochs=curve.epochs,
        step=curve.steps[-1],
        loss=f"{curve.loss[-1]:.3g}",
    )


def curve_words(curve: Curve, folds: int) -> str:
    """Return text such as "Fold 1 of 0 to 2: student", with the fold's number in the training's parameter Fold."""
    stages = {
        "teacher-heads": _("heads of the teachers"),
        "teacher": _("teachers"),
        "student-heads": _("heads of the student"),
        "student": _("student"),
    }
    if folds < 2:
        return stages[curve.stage].capitalize()
    text = _("Fold {fold} of 0 to {last}: {stage}")
    return text.format(fold=curve.fold, last=folds - 1, stage=stages[curve.stage])
