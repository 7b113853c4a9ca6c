"""JSON that people write, read so that it says each thing once."""

from __future__ import annotations

import json
from typing import Any


class KeyTwice(ValueError):
    """A key stands twice in one object, so that either value could be meant. key: which."""

    def __init__(self, key: str):
        super().__init__(f"{key!r} stands twice")
        self.key = key


def parse_once(data: str | bytes) -> Any:
    """Parse JSON; bytes may begin with a mark of their encoding.

    Raises: KeyTwice; ValueError (JSONDecodeError, UnicodeDecodeError) and RecursionError for what is no JSON.
    """
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    once = dict(pairs)
    if len(once) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyTwice(next(name for name in names if names.count(name) > 1))
    return once
