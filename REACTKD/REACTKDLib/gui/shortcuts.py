"""Keys of a section, as long as the module is on show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Claims keys of the main window and gives them back.

    keys: what each does. Slicer's own and those of every table are left alone; see `docs/reference/panel.md`.
    """

    def __init__(self, keys: Mapping[str, Callable[[], Any]]) -> None:
        self._keys = keys
        self._made: list[Any] = []

    def claim(self, root: Any) -> None:
        """Listen to the keys. root: a widget, for an application without a main window. Again changes nothing."""
        self.release()
        window = slicer.util.mainWindow() or root  # a shortcut without a parent is refused
        for keys, action in self._keys.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(keys))
            shortcut.connect("activated()", action)
            self._made.append(shortcut)

    def release(self) -> None:
        """Give the keys back."""
        for shortcut in self._made:
            shortcut.disconnect("activated()")
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made = []
