"""Words for people: sentences, lists and counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 60


def sentence(text: str) -> str:
    """Return `text` with its first letter raised, so that a message may begin with a role such as "the CT"."""
    return text[:1].upper() + text[1:]


def quoted(names: Iterable[str], limit: int = 12) -> str:
    """Return the names in quotes, separated by commas, each cut to a line; beyond `limit` the rest is counted."""
    names = list(names)
    quotes = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    return quotes if len(names) <= limit else f"{quotes} and {len(names) - limit} more"


def shown(name: object, longest: int = LONGEST) -> str:
    """Return what was given as one short line that every screen and file can show: "a\\x00b", "aaaa...".

    Control characters, line ends and halves of surrogate pairs are written as escapes.
    """
    text = str(name)
    text = text if len(text) <= longest else f"{text[: longest - 3]}..."
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return "1 lesion" or "3 lesions"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """Return "the CT", "the CT and the FDG PET", or "the CT, the FDG PET and the acetate PET"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
