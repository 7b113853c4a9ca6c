"""Simulates a user of the panel: finds widgets by object name, clicks, types and selects.

As for a real user, only available widgets can be used: a hidden, disabled or collapsed widget fails the test.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from host.crowd import crowd
from host.mrml_widgets import qMRMLNodeComboBox

LEFT = Qt.MouseButton.LeftButton
POLL_S = 0.005
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


class User:
    """The actions of a test in the window, and its view of the panel."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.window = application.window

    # what there is

    def find(self, name: str) -> Any:
        """Return the only widget with this name in the current panel."""
        panel = self.application.modules[self.application.selected].widgetRepresentation()
        found = [widget for widget in panel.findChildren(QWidget, name) if not self._left_behind(widget, panel)]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} widgets are named {name}")
        return found[0]

    def sees(self, name: str) -> bool:
        """Return True if the widget is shown (perhaps outside the visible part of the panel)."""
        return self.find(name).isVisible()

    def text(self, name: str) -> str:
        """Return the text of a widget. Raises AssertionError if it is hidden."""
        widget = self._shown(name)
        return widget.currentText if isinstance(widget, QComboBox) else widget.text

    def rows(self, name: str) -> list[list[str]]:
        """Return the texts of a table, row by row, without hidden rows and columns."""
        table = self._shown(name)
        model = table.model()
        rows = [row for row in range(model.rowCount()) if not table.isRowHidden(row)]
        columns = [column for column in range(model.columnCount()) if not table.isColumnHidden(column)]
        return [[str(model.index(row, column).data() or "") for column in columns] for row in rows]

    # what hands do

    def click(self, name: str) -> None:
        """Click a button or check box."""
        widget = self._usable(name)
        # Check boxes react at their left end, buttons everywhere.
        spot = QPoint(8, widget.height // 2) if widget.inherits("QCheckBox") else widget.rect.center()
        QTest.mouseClick(widget, LEFT, Qt.KeyboardModifier.NoModifier, spot)
        self._rest()
        self.settle()

    def toggle_section(self, name: str) -> None:
        """Click on the title of a collapsible button."""
        QTest.mouseClick(self._usable(name), LEFT, Qt.KeyboardModifier.NoModifier, QPoint(30, 8))
        self.settle()

    def open_section(self, name: str) -> None:
        """Click on the title of a collapsible button; an open one is closed and opened again.

        A section that opened automatically may close again; one opened by the user stays open.
        """
        if not self.find(name).collapsed:
            self.toggle_section(name)
        self.toggle_section(name)

    def type(self, name: str, text: str, enter: bool = True, paste: bool = False) -> None:
        """Replace the contents of a field by `text`, letter by letter or from the clipboard."""
        widget = self._usable(name)
        editor = widget.findChild(QLineEdit) if not isinstance(widget, QLineEdit) else widget
        if isinstance(widget, (QSpinBox, QDoubleSpinBox)):
            editor = widget.lineEdit()
        editor = editor if editor is not None else widget
        editor.setFocus()
        QTest.keyClick(editor, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        if paste:
            QApplication.clipboard().setText(text)
            QTest.keyClick(editor, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        else:
            QTest.keyClicks(editor, text) if text else QTest.keyClick(editor, Qt.Key.Key_Delete)
        if enter:
            QTest.keyClick(editor, Qt.Key.Key_Return)
        self.settle()

    def press(self, key: Any, name: str | None = None, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key on a widget, or on the panel."""
        widget = self._usable(name) if name else self.application.modules[self.application.selected]
        QTest.keyClick(widget if name else widget.widgetRepresentation(), key, modifier)
        self.settle()

    def press_shortcut(self, key: Any, modifier: Any) -> None:
        """Press a key of the window with a modifier, independent of the focus.

        The window is activated first, as when a user works in it: a new view, or the window of the previous test, may
        still be active.
        """
        QApplication.setActiveWindow(self.window)
        QTest.keyClick(self.window, key, modifier)
        self.settle()

    def choose(self, name: str, what: Any) -> None:
        """Select a node (or None) in a node selector, or a text in a combo box, like a click on its list."""
        widget = self._usable(name)
        if isinstance(widget, qMRMLNodeComboBox):
            box, index = widget.findChild(QComboBox), -1
            index = box.findData(what.GetID() if what is not None else "")
        else:
            box = widget if isinstance(widget, QComboBox) else widget.findChild(QComboBox)
            index = box.findText(what)
        if index < 0:
            raise AssertionError(
                f"{name} does not offer {what if isinstance(what, str) or what is None else what.GetName()}"
            )
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.settle()

    def check(self, name: str, text: str, on: bool = True) -> None:
        """Set the check mark of an entry in a list with check marks (multi-selection of segments)."""
        from PySide6.QtWidgets import QListWidget

        widget = self._usable(name)
        listing = widget if isinstance(widget, QListWidget) else widget.findChild(QListWidget)
        (item,) = listing.findItems(text, Qt.MatchFlag.MatchExactly)
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.settle()

    def click_cell(self, name: str, row: int, column: int = 0, double: bool = False) -> None:
        """Click a cell of a table."""
        table: QAbstractItemView = self._usable(name)
        index = table.model().index(row, column)
        if not index.isValid():
            raise AssertionError(f"{name} has no cell {row}, {column}")
        table.scrollTo(index)
        spot = table.visualRect(index).center()
        QTest.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, spot)
        if double:
            QTest.mouseDClick(table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, spot)
        self.settle()

    # time

    def settle(self) -> None:
        """Let pending events be processed."""
        for _ in range(3):
            process_events()

    def _rest(self) -> None:
        """Let the program run for the time set by REACTKD_CLICK_S, as if the user took that long to click again."""
        end = time.monotonic() + float(os.environ.get("REACTKD_CLICK_S", "0"))
        while time.monotonic() < end:
            process_events()
            time.sleep(0.02)

    def wait_until(self, condition: Callable[[], Any], timeout_s: float = 30.0, what: str = "") -> None:
        """Process events until `condition()` is True. Raises AssertionError after `timeout_s`.

        On a busy computer the timeout is extended in proportion to its load.
        """
        begun = time.monotonic()
        while not condition():
            waited = time.monotonic() - begun
            if waited > timeout_s and waited > timeout_s * crowd():
                vain = f"waited {time.monotonic() - begun:.0f} s in vain for {what or condition}"
                raise AssertionError(f"{vain}; the panel says: {' | '.join(self._words())}")
            begun_pass = time.monotonic()
            process_events()
            if time.monotonic() - begun_pass < POLL_S:  # otherwise the panel is at work, and continues at once
                time.sleep(POLL_S)
        self.settle()

    def _words(self) -> list[str]:
        """Return the texts of the labels that are shown."""
        panel = self.application.modules[self.application.selected].widgetRepresentation()
        labels = [label for label in panel.findChildren(QLabel) if not self._left_behind(label, panel)]
        return [label.text for label in labels if label.isVisible() and label.text]

    # pictures

    def screenshot(self, name: str, of: str = "panel") -> Path:
        """Write build/screenshots/<name>.png of the whole "panel", of the "window", or of a widget; return the path.

        Only if REACTKD_SCREENSHOTS is set: drawing all views at their size takes a tenth of a second.
        """
        self.settle()
        path = SCREENSHOTS / f"{name}.png"
        if os.environ.get("REACTKD_SCREENSHOTS", "0") == "0":
            return path
        if of == "window":
            widget = self.window
            manager = self.application.app.layoutManager()
            views = [manager.sliceWidget(name) for name in manager.sliceViewNames()]
            views += map(manager.threeDWidget, range(manager.threeDViewCount))
            for view in views:
                if view.isVisible():
                    view.forceRender()
        elif of == "panel":
            widget = self.application.modules[self.application.selected].widgetRepresentation()
        else:
            widget = self.find(of)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        if not widget.grab().save(str(path), "PNG", 80):  # as small as Qt's own choice, in half the time
            raise AssertionError(f"{path} could not be written")
        return path

    @staticmethod
    def _left_behind(widget: Any, panel: Any) -> bool:
        """True for widgets from before a reload, which still exist, hidden and outside the layout."""
        top = widget
        while top.parentWidget() is not panel:
            top = top.parentWidget()
        return not any(top is laid for laid in _laid_out(panel.layout()))

    def _shown(self, name: str) -> Any:
        widget = self.find(name)
        if not widget.isVisible():
            raise AssertionError(f"{name} is not visible")
        return widget

    def _usable(self, name: str) -> Any:
        widget = self._shown(name)
        if not widget.isEnabled():
            raise AssertionError(f"{name} is disabled")
        return widget


def process_events() -> None:
    """Process pending events, and delete objects marked by `deleteLater`, as Slicer's event loop does."""
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _laid_out(layout: Any) -> Iterator[Any]:
    """Yield the widgets in a layout and in nested layouts."""
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item.layout() is not None:
            yield from _laid_out(item.layout())
        elif item.widget() is not None:
            yield item.widget()
