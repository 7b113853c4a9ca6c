"""Definition of Qt properties of a substitute widget in one line each."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property


def kept(name: str, kind: Any = bool, refresh: str | None = None) -> Property:
    """Return a property stored in `_<name>`; `refresh` is the method to call after a change."""

    def get(self: Any) -> Any:
        return getattr(self, f"_{name}")

    def put(self: Any, value: Any) -> None:
        setattr(self, f"_{name}", value)
        if refresh:
            getattr(self, refresh)()

    return Property(kind, get, put)


def of_part(part: str, name: str, kind: Any) -> Property:
    """Return the property `name` of the widget stored in `_<part>`."""

    def get(self: Any) -> Any:
        return getattr(self, f"_{part}").property(name)

    def put(self: Any, value: Any) -> None:
        getattr(self, f"_{part}").setProperty(name, value)

    return Property(kind, get, put)
