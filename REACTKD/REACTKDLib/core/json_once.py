"""Parsing of JSON: damage of any kind is a ValueError, and a duplicate key in a file written by people is an error."""

from __future__ import annotations

import json
from typing import Any


class DuplicateKey(ValueError):
    """An object has a key twice, so its value is ambiguous. key: the key."""

    def __init__(self, key: str):
        super().__init__(f"{key!r} stands twice")
        self.key = key


def parse_json(data: str | bytes, **hooks: Any) -> Any:
    """Parse JSON of a program. hooks: of `json.loads`.

    Raises: ValueError (JSONDecodeError, UnicodeDecodeError) for text that is not JSON, and for values nested so deeply
    that no program of ours has written them, which `json.loads` reports as RecursionError.
    """
    try:
        return json.loads(data, **hooks)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error


def parse_once(data: str | bytes) -> Any:
    """Parse JSON. Bytes may begin with a byte order mark.

    Raises: DuplicateKey; ValueError as `parse_json` does.
    """
    return parse_json(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    once = dict(pairs)
    if len(once) < len(pairs):
        names = [name for name, _ in pairs]
        raise DuplicateKey(next(name for name in names if names.count(name) > 1))
    return once
