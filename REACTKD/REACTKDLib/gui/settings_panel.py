"""Section Settings: rarely changed settings: model, device, legend, grading on opening."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.gui import keys
from REACTKDLib.gui.folding import Folding
from REACTKDLib.gui.section import Section
from REACTKDLib.scene.panel_state import DEVICES

_GRADE_ON_OPENING = "REACTKD/GradeOnOpening"


def grades_on_opening() -> bool:
    """Return True if each case of a list is to be graded when opened; stored in the application's settings."""
    return slicer.util.settingsValue(_GRADE_ON_OPENING, False, converter=slicer.util.toBool)


class SettingsPanel(Section):
    """Connects the choices with the panel's state or the application's settings."""

    ui_file = "SettingsPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self._filling = False
        self.folding = Folding(place)
        ui = self.ui
        for device, text in zip(DEVICES, (_("GPU if there is one"), _("CPU"), _("GPU")), strict=True):
            ui.deviceComboBox.addItem(text, device)
        ui.modelPathEdit.connect("currentPathChanged(QString)", self.on_model)
        ui.deviceComboBox.connect("activated(int)", self.on_device)
        ui.legendCheckBox.connect("toggled(bool)", self.on_legend)
        ui.gradeOnOpeningCheckBox.checked = grades_on_opening()
        ui.gradeOnOpeningCheckBox.connect("toggled(bool)", self.on_grade_on_opening)
        self.refresh()

    def on_model(self, path: str) -> None:
        """Another model folder."""
        if not self._filling:
            self.context.use_bundle(path.strip() or None)

    def on_device(self, index: int) -> None:
        """Another device."""
        self.context.state.set_device(self.ui.deviceComboBox.itemData(index))
        self.refresh()

    def on_legend(self, on: bool) -> None:
        """Show the color legend in the views, or not."""
        if not self._filling:
            self.context.set_view(legend=on)

    def on_grade_on_opening(self, on: bool) -> None:
        """Store the setting; the open case is not graded by this click."""
        qt.QSettings().setValue(_GRADE_ON_OPENING, "true" if on else "false")

    def refresh(self) -> None:
        """Show the choices."""
        self._filling = True
        try:
            state, ui = self.context.state, self.ui
            if ui.modelPathEdit.currentPath != (state.model or ""):
                ui.modelPathEdit.currentPath = state.model or ""
            ui.deviceComboBox.setCurrentIndex(DEVICES.index(state.device))
            ui.legendCheckBox.checked = state.view.legend
            ui.keysLabel.text = keys.card(self.context.task)
            for widget in (ui.modelPathEdit, ui.deviceComboBox):
                widget.enabled = not self.context.busy
            self.folding.say(_("another model") if state.model else _("the shipped model"))
        finally:
            self._filling = False

    def cleanup(self) -> None:
        """Release everything."""
        self.folding.close()
        super().cleanup()
