"""The main window: module panel on the left, views on the right, status bar at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QFrame, QMainWindow, QMenu, QScrollArea, QSplitter

PANEL_WIDTH = 420

#: keys reserved for the application: those of its user guide, and the usual ones in tables
SLICER_KEYS = (
    *("Ctrl+F", "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+H", "Ctrl+0", "Ctrl+1", "Ctrl+2", "Ctrl+3", "Ctrl+4", "Ctrl+5"),
    *("Ctrl+B", "Ctrl+P", "Ctrl+C", "Ctrl+X", "Ctrl+V", "Ctrl+Z", "Ctrl+Y", "Ctrl+G"),
)


class ModuleSelector(QObject):
    """The combo box of modules in the toolbar."""

    def __init__(self, select: Callable[[str], None], selected: Callable[[], str], parent: Any) -> None:
        super().__init__(parent)
        self._select, self._selected = select, selected

    def selectModule(self, name: str) -> None:
        self._select(name)

    @property
    def selectedModule(self) -> str:
        return self._selected()


class MainWindow(QMainWindow):
    """qSlicerMainWindow. Its panel scrolls only vertically, as in Slicer."""

    def __init__(self, views: Any, selector: Callable[[Any], ModuleSelector]) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("Slicer test host")
        self._selector = selector(self)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._splitter = QSplitter()
        self._splitter.addWidget(self._scroll)
        self._splitter.addWidget(views)
        self._splitter.setStretchFactor(1, 1)
        self._splitter.setChildrenCollapsible(False)
        self.setCentralWidget(self._splitter)
        self.statusBar()
        for keys in SLICER_KEYS:
            action = QAction(self)
            action.setShortcut(QKeySequence(keys))
            self.addAction(action)
        # Modules find these by name among the top-level widgets, to add their own entries.
        self._file_menu = QMenu("File")
        self._file_menu.setObjectName("FileMenu")
        self.resize(1400, 900)
        self.set_panel_width(PANEL_WIDTH)

    def moduleSelector(self) -> ModuleSelector:
        return self._selector

    def set_panel_width(self, width: int) -> None:
        """Give the module panel `width` pixels and the views the rest."""
        self._scroll.setMinimumWidth(width)
        self._splitter.setSizes([width, max(1400 - width, 100)])
        self._scroll.setMaximumWidth(width)

    def show_panel(self, panel: Any) -> None:
        """Put a module's panel into the scroll area."""
        if self._scroll.widget() is not panel:
            self._scroll.takeWidget()
            self._scroll.setWidget(panel)
        panel.show()
