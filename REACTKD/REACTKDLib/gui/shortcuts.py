"""Keyboard shortcuts of a section, active while the module is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Claims shortcuts of the main window and releases them.

    keys: the action of each. Those of Slicer and of tables are not used; see `docs/reference/panel.md`.
    """

    def __init__(self, keys: Mapping[str, Callable[[], Any]]) -> None:
        self._keys = keys
        self._made: list[Any] = []

    def claim(self, root: Any) -> None:
        """Activate the shortcuts. root: a widget, for an application without a main window. Idempotent."""
        self.release()
        window = slicer.util.mainWindow() or root  # a shortcut without a parent is refused
        for keys, action in self._keys.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(keys))
            shortcut.connect("activated()", action)
            self._made.append(shortcut)

    def release(self) -> None:
        """Release the shortcuts."""
        for shortcut in self._made:
            shortcut.disconnect("activated()")
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made = []
