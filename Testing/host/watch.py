"""Observers of VTK objects that are removed with the widget that added them, like ctk's connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import QObject


class Watch:
    """The observers of one widget. If the widget no longer exists when an event occurs, nothing is called."""

    def __init__(self, owner: QObject) -> None:
        self._tags: list[tuple[Any, int]] = []
        owner.destroyed.connect(self.clear)

    def observe(self, thing: Any, events: Iterable[int], called: Callable[[Any, str], None]) -> None:
        """Call `called(object, event)` for each of `events`."""
        self._tags += [(thing, thing.AddObserver(event, called)) for event in events]

    def clear(self) -> None:
        """Remove all observers."""
        for thing, tag in self._tags:
            thing.RemoveObserver(tag)
        self._tags.clear()
