"""Observations of VTK objects that end with the widget that made them, as ctk's connections do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import QObject


class Watch:
    """What one widget observes. The widget may be gone when an event comes; nothing is called then."""

    def __init__(self, owner: QObject) -> None:
        self._tags: list[tuple[Any, int]] = []
        owner.destroyed.connect(self.clear)

    def observe(self, thing: Any, events: Iterable[int], called: Callable[[Any, str], None]) -> None:
        """Call `called(object, event)` at each of `events`."""
        self._tags += [(thing, thing.AddObserver(event, called)) for event in events]

    def clear(self) -> None:
        """Observe nothing any more."""
        for thing, tag in self._tags:
            thing.RemoveObserver(tag)
        self._tags.clear()
