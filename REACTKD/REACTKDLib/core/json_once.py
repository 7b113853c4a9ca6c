"""Parsing of JSON written by people, in which a duplicate key is an error."""

from __future__ import annotations

import json
from typing import Any


class DuplicateKey(ValueError):
    """An object has a key twice, so its value is ambiguous. key: the key."""

    def __init__(self, key: str):
        super().__init__(f"{key!r} stands twice")
        self.key = key


def parse_once(data: str | bytes) -> Any:
    """Parse JSON. Bytes may begin with a byte order mark.

    Raises: DuplicateKey; ValueError (JSONDecodeError, UnicodeDecodeError) and RecursionError for text that is not JSON.
    """
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    once = dict(pairs)
    if len(once) < len(pairs):
        names = [name for name, _ in pairs]
        raise DuplicateKey(next(name for name in names if names.count(name) > 1))
    return once
