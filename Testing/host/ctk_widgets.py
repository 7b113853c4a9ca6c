"""Substitutes for the CTK widgets that modules use, with the properties, signals and methods of the originals."""

from __future__ import annotations

from typing import Any

import PySide6.QtWidgets as widgets
from PySide6.QtCore import Property, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPalette, QPolygon

from host.properties import kept, of_part


class ctkCollapsibleButton(widgets.QAbstractButton):
    """A title bar that hides and shows its contents."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed = False
        self._flat = False
        self._hidden: list[Any] = []
        self._header = self.fontMetrics().height() + 10
        self.setContentsMargins(2, self._header, 2, 2)
        self.setSizePolicy(widgets.QSizePolicy.Policy.Preferred, widgets.QSizePolicy.Policy.Preferred)
        self.clicked.connect(lambda _=False: self._set_collapsed(not self._collapsed))

    collapsed = Property(bool, lambda self: self._collapsed, lambda self, value: self._set_collapsed(value))
    flat = kept("flat", refresh="update")

    def hitButton(self, point: QPoint) -> bool:
        return 0 <= point.y() <= self._header

    def minimumSizeHint(self) -> QSize:
        """As in the original: wide enough for the title."""
        inside = super().minimumSizeHint() if not self._collapsed else QSize(0, self._header)
        return inside.expandedTo(QSize(self.fontMetrics().horizontalAdvance(self.text) + 30, self._header))

    def childEvent(self, event: Any) -> None:
        super().childEvent(event)
        if self._collapsed and event.added() and event.child().isWidgetType():
            event.child().setVisible(False)
            self._hidden.append(event.child())

    def _set_collapsed(self, value: bool) -> None:
        if value == self._collapsed:
            return
        self._collapsed = value
        if value:
            children = [child for child in self.children() if child.isWidgetType()]
            self._hidden = [child for child in children if not child.isHidden()]
        for child in self._hidden:
            child.setVisible(not value)
        self.setMaximumHeight(self._header + 2 if value else 16777215)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(value)

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        palette = self.palette
        painter.fillRect(0, 0, self.width, self._header, palette.color(QPalette.ColorRole.Midlight))
        painter.setPen(palette.color(QPalette.ColorRole.Mid))
        painter.drawRect(0, 0, self.width - 1, self.height - 1)
        painter.setPen(palette.color(QPalette.ColorRole.ButtonText))
        painter.setBrush(palette.color(QPalette.ColorRole.ButtonText))
        middle = self._header // 2
        if self._collapsed:
            arrow = [QPoint(8, middle - 4), QPoint(13, middle), QPoint(8, middle + 4)]
        else:
            arrow = [QPoint(6, middle - 2), QPoint(14, middle - 2), QPoint(10, middle + 3)]
        painter.drawPolygon(QPolygon(arrow))
        painter.drawText(
            20, 0, self.width - 24, self._header, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text
        )
        painter.end()


class ctkCollapsibleGroupBox(widgets.QGroupBox):
    """A group box whose check mark hides and shows its contents."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._collapsedHeight = 14
        self.setCheckable(True)
        self.toggled.connect(self._on_toggled)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))
    collapsedHeight = kept("collapsedHeight", int)

    def childEvent(self, event: Any) -> None:
        super().childEvent(event)
        if event.added() and event.child().isWidgetType() and not self.isChecked():
            event.child().setVisible(False)

    def _on_toggled(self, on: bool) -> None:
        for child in self.children():
            if child.isWidgetType():
                child.setVisible(on)


class ctkFlowLayout(widgets.QGridLayout):
    """A flow layout, simplified to two widgets per line."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._preferredExpandingDirections = Qt.Orientation.Horizontal

    preferredExpandingDirections = kept("preferredExpandingDirections", "QVariant")

    def addWidget(self, widget: Any) -> None:
        index = self.count()
        super().addWidget(widget, index // 2, index % 2)


class ctkSliderWidget(widgets.QWidget):
    """A slider and a spin box for one number. Without tracking, dragging the slider only emits valueIsChanging."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)
    SIGNATURES = {
        "valueChanged(double)": "valueChanged",
        "valueIsChanging(double)": "valueIsChanging",
        "decimalsChanged(int)": "decimalsChanged",
    }

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._tracking = True
        self._invertedAppearance = False
        self._pageStep = 10.0
        self._tickInterval = 0.0
        self._value = 0.0
        self._slider = widgets.QSlider(Qt.Orientation.Horizontal)
        self._spin = widgets.QDoubleSpinBox()
        row = widgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider)
        row.addWidget(self._spin)
        self._slider.valueChanged.connect(self._on_slider)
        self._slider.sliderReleased.connect(self._on_released)
        self._spin.valueChanged.connect(self._set_value)
        self.setSizePolicy(widgets.QSizePolicy.Policy.Expanding, widgets.QSizePolicy.Policy.Fixed)
        self._rescale()

    tracking = kept("tracking")
    invertedAppearance = kept("invertedAppearance")
    pageStep = kept("pageStep", float)
    tickInterval = kept("tickInterval", float)
    prefix = of_part("spin", "prefix", str)
    suffix = of_part("spin", "suffix", str)
    spinBoxVisible = Property(
        bool, lambda self: not self._spin.isHidden(), lambda self, value: self._spin.setVisible(value)
    )
    value = Property(float, lambda self: self._value, lambda self, value: self.setValue(value))
    decimals = Property(int, lambda self: self._spin.decimals, lambda self, value: self.setDecimals(value))

    def _spin_property(name: str) -> Property:  # noqa: N805 - makes the class body's properties
        def put(self: ctkSliderWidget, value: float) -> None:
            self._spin.setProperty(name, value)
            self._rescale()

        return Property(float, lambda self: self._spin.property(name), put)

    minimum, maximum, singleStep = map(_spin_property, ("minimum", "maximum", "singleStep"))

    def setValue(self, value: float) -> None:
        self._set_value(min(max(value, self._spin.minimum), self._spin.maximum))

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin.setVisible(visible)

    def reset(self) -> None:
        self.setValue(0.0)

    def _steps(self, value: float) -> int:
        return round((value - self._spin.minimum) / self._spin.singleStep)

    def _rescale(self) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(self._steps(self._spin.maximum), 0))
        self._slider.setValue(self._steps(self._value))
        self._slider.blockSignals(False)
        self.setValue(self._value)

    def _on_slider(self, steps: int) -> None:
        value = min(self._spin.minimum + steps * self._spin.singleStep, self._spin.maximum)
        self.valueIsChanging.emit(value)
        if self._tracking or not self._slider.sliderDown:
            self._set_value(value)

    def _on_released(self) -> None:
        self._on_slider(self._slider.value)

    def _set_value(self, value: float) -> None:
        value = round(value, self._spin.decimals)
        if value == self._value:
            return
        self._value = value
        for part, shown in ((self._spin, value), (self._slider, self._steps(value))):
            part.blockSignals(True)
            part.setValue(shown)
            part.blockSignals(False)
        self.valueChanged.emit(value)


class ctkPathLineEdit(widgets.QWidget):
    """A path that can be typed or selected in a dialog."""

    validInputChanged = Signal(bool)
    currentPathChanged = Signal(str)
    SIGNATURES = {"validInputChanged(bool)": "validInputChanged", "currentPathChanged(QString)": "currentPathChanged"}
    # An enum in C++; stored as written.
    UI_ENUMS = ("filters", "options", "sizeAdjustPolicy")
    Dirs, Files, Drives, NoSymLinks, Readable, Writable, Executable = 1, 2, 4, 8, 16, 32, 64
    AllEntries = 7

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._filters, self._options, self._sizeAdjustPolicy = self.AllEntries, 0, 0
        self._label, self._settingKey, self._nameFilters = "", "", []
        self._minimumContentsLength, self._showHistoryButton = 0, True
        self._path = ""
        self._box = widgets.QComboBox()
        self._box.setEditable(True)
        self._box.setSizePolicy(widgets.QSizePolicy.Policy.Expanding, widgets.QSizePolicy.Policy.Fixed)
        self._box.setSizeAdjustPolicy(widgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._button = widgets.QToolButton()
        self._button.setText("...")
        row = widgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        row.addWidget(self._button)
        self._box.editTextChanged.connect(self._on_text)
        self._button.clicked.connect(lambda _=False: self.browse())

    filters, options, sizeAdjustPolicy = (kept(name, int) for name in UI_ENUMS)
    label, settingKey = kept("label", str), kept("settingKey", str)
    nameFilters = kept("nameFilters", "QStringList")
    minimumContentsLength, showHistoryButton = kept("minimumContentsLength", int), kept("showHistoryButton")
    showBrowseButton = of_part("button", "visible", bool)
    currentPath = Property(str, lambda self: self._path, lambda self, value: self.setCurrentPath(value))

    def setCurrentPath(self, path: str) -> None:
        self._box.setEditText(path)

    def comboBox(self) -> widgets.QComboBox:
        return self._box

    def browse(self) -> None:
        folders_alone = self._filters & (self.Dirs | self.Files) == self.Dirs
        ask = widgets.QFileDialog.getExistingDirectory if folders_alone else widgets.QFileDialog.getOpenFileName
        chosen = ask(self, self._label, self._path)
        if chosen:
            self.setCurrentPath(chosen)

    def addCurrentPathToHistory(self) -> None:
        if self._path and self._box.findText(self._path) < 0:
            self._box.addItem(self._path)

    def retrieveHistory(self) -> None:
        """The history exists only as long as the widget."""

    def _on_text(self, text: str) -> None:
        if text != self._path:
            self._path = text
            self.currentPathChanged.emit(text)


class ctkMessageBox(widgets.QMessageBox):
    """A message box; here it never remembers that it should not be shown again."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._dontShowAgainSettingsKey = ""

    dontShowAgainSettingsKey = kept("dontShowAgainSettingsKey", str)
