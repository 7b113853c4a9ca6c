"""Signals with listeners: Slicer's Python cannot define Qt signals, and objects without widgets need none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Calls its listeners in the order in which they were connected. Not for use across threads."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., Any]] = []

    def connect(self, listener: Callable[..., Any]) -> None:
        """Call `listener` from now on; connecting it again changes nothing."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def disconnect(self, listener: Callable[..., Any]) -> None:
        """Stop calling `listener`; it need not be connected."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def disconnect_all(self) -> None:
        """Forget every listener."""
        self._listeners.clear()

    def __call__(self, *values: Any) -> None:
        """Call every listener; those that are disconnected meanwhile are left out."""
        for listener in tuple(self._listeners):
            if listener in self._listeners:
                listener(*values)
