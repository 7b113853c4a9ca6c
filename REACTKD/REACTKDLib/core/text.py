"""Words for people: sentences, lists and counts."""

from __future__ import annotations

from collections.abc import Iterable


def sentence(text: str) -> str:
    """Return `text` with its first letter raised, so that a message may begin with a role such as "the CT"."""
    return text[:1].upper() + text[1:]


def quoted(names: Iterable[str], limit: int = 12) -> str:
    """Return the names in quotes, separated by commas; beyond `limit` the rest is counted."""
    names = list(names)
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return "1 lesion" or "3 lesions"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
