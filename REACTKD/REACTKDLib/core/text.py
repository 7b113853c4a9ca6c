"""Texts for users: English strings that carry their template and values, so that the panel can translate them.

    from REACTKDLib.core.text import tr as _

    raise NoLiver(_("The {organ} mask is empty; draw the {organ}."), organ=organ)
    text = _("{image} covers {share} % of the liver.").format(image=ROLES[modality], share=f"{share:.0f}")

Slicer's translation tools find the strings in `_(...)` as in any module. A text is a `str` in English, and is written
to files as such. Its template and values are passed on to the panel, also from the worker process, and are translated
there.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

LONGEST = 60
#: the most cases, or bad values of a list, that a message names; the others are counted
MOST_NAMED = 5
_FROM_THE_RIGHT = "R", "AL", "AN"  # letters and digits, in Unicode's names
_JOINERS = "\u200c\u200d"  # Persian and Indian words are misspelled without them
#: a placeholder in a template; other braces are literal
FIELD = re.compile(r"\{(\w+)\}")


class Text(str):
    """An English text with its template and values.

    context: where translators find the template, in Slicer's notation ("masks.checks"); "" if there is nothing to
    translate. values: plain strings, or texts that are translated themselves. raised: whether the first letter was
    capitalized.
    """

    context: str = ""
    template: str = ""
    values: Mapping[str, str] = {}
    raised: bool = False

    @classmethod
    def of(cls, context: str, template: str, values: Mapping[str, Any], raised: bool = False) -> Text:
        """Fill a template. values: by name; converted to `str`. Raises: KeyError if a value is missing."""
        values = {name: value if isinstance(value, str) else format(value) for name, value in values.items()}
        english = FIELD.sub(lambda field: values[field[1]], template) if values else template
        text = cls(sentence(english) if raised else english)
        text.context, text.template, text.values, text.raised = context, template, values, raised
        return text

    def format(self, **values: Any) -> Text:
        """Return the text with its values filled in."""
        return Text.of(self.context, self.template, values, self.raised)

    def __str__(self) -> str:
        return self  # so that str(error) and str(text) keep the template and values

    def __add__(self, other: str) -> Text:
        if not isinstance(other, str):
            return NotImplemented  # as of a plain string: matplotlib tries to add widths to names
        return joined((self, other), "")


def tr(text: str) -> Text:
    """Mark a text for translation; it is translated when shown. Imported as `_`, which Slicer's tools expect."""
    return Text.of(_context(sys._getframe(1).f_code.co_filename), text, {})


_ = tr


@cache
def _context(file: str) -> str:
    """Return what `slicer.i18n.getContext` returns for a file in a package."""
    path = Path(file)
    return f"{path.parent.name}.{path.stem}"


def joined(texts: Iterable[str], separator: str = " ") -> Text:
    """Join texts, each of which is translated separately."""
    parts = {f"part{n}": text for n, text in enumerate(texts, 1)}
    return Text.of("", separator.join(f"{{{name}}}" for name in parts), parts)


def all_of(names: Iterable[str]) -> str:
    """Join names: "one", "one and another", or "one and another and a third"."""
    first, *others = names
    for other in others:
        first = _("{first} and {other}").format(first=first, other=other)
    return first


def packed(value: Any) -> Any:
    """Return a JSON message whose texts keep template and values; read with `json.loads(..., object_hook=unpacked)`."""
    if isinstance(value, Text):
        return {part: packed(getattr(value, part)) for part in _PARTS}
    if isinstance(value, Mapping):
        return {key: packed(item) for key, item in value.items()}
    return [packed(item) for item in value] if isinstance(value, (list, tuple)) else value


def unpacked(entry: dict[str, Any]) -> Any:
    """Return the text of an object that `packed` created; return any other object unchanged. Raises: ValueError."""
    if entry.keys() != set(_PARTS):
        return entry
    try:
        return Text.of(**entry)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("A text of the message is broken.") from error


def text_from(entry: Any, english: str) -> str:
    """Return the text that a file stores as `packed` beside its English; return the English if the two do not agree."""
    try:
        text = json.loads(json.dumps(entry), object_hook=unpacked)
    except (ValueError, RecursionError):
        return english
    return text if isinstance(text, Text) and text == english else english


_PARTS = ("context", "template", "values", "raised")


def sentence(text: str) -> str:
    """Capitalize the first letter of `text`, so that a message may begin with a role such as "the CT".

    No message may begin with the name of a file, which would become another one.
    """
    if isinstance(text, Text):
        return text if text[:1].upper() == text[:1] else Text.of(text.context, text.template, text.values, True)
    return text[:1].upper() + text[1:]


def without_folders(text: str, base: Path) -> str:
    """Return a text for a table that is passed on: folders, whose names may be those of patients, are left out of its
    values.

    A value that is an absolute path is given relative to `base`, the folder of the table; elsewhere by its name alone.
    A text without a template is returned unchanged.
    """
    if not isinstance(text, Text):
        return text
    values = {name: _without_folder(value, base) for name, value in text.values.items()}
    return Text.of(text.context, text.template, values, text.raised)


def _without_folder(value: str, base: Path) -> str:
    if isinstance(value, Text) or not os.path.isabs(value):
        return without_folders(value, base)
    path = Path(value)
    return path.relative_to(base).as_posix() if base in path.parents else path.name or value


def quoted(names: Iterable[str], limit: int = 12) -> str:
    """Return the names in quotes, separated by commas, each cut to one line; beyond `limit`, the rest are counted."""
    names = list(names)
    quotes = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    if len(names) <= limit:
        return quotes
    return _("{names} and {count} more").format(names=quotes, count=len(names) - limit)


def shown(name: object, longest: int = LONGEST) -> str:
    """Return a name as one short line that every screen and file can show: "a\\x00b", "aaaa...".

    Control characters, line breaks and lone surrogates are escaped.
    """
    text = str(name)
    text = text if len(text) <= longest else f"{text[: longest - 3]}..."
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def isolated(name: object) -> str:
    """Return a name for a screen, where it turns nothing that follows in a text; not for tables or data in files.

    Control characters are escaped, as by `shown`. A name with letters that are written from right to left is enclosed
    in U+2068 and U+2069, since a screen would move a number after it to its other side.
    """
    text = "".join(c if c in _JOINERS else shown(c) for c in str(name))
    return f"\u2068{text}\u2069" if any(unicodedata.bidirectional(c) in _FROM_THE_RIGHT for c in text) else text


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name may be a misspelling of, or None."""
    return next(iter(get_close_matches(name.lower(), list(known), n=1, cutoff=0.8)), None)


def unknown_name(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known one if there is one, and all that are."""
    names = list(known)
    nearest = nearest_name(name, names)
    hint = "" if nearest is None else f"did you mean {nearest!r}? "
    return f"{hint}there are {', '.join(names)}."


def measured(value: float, digits: int = 2) -> str:
    """Return a measured number for a sentence, such as "0.05", "2.1" or "1350": never with an exponent.

    digits: significant ones of a fraction; a larger number is shown to its unit.
    """
    if abs(value) >= 10**digits - 0.5 or value == 0:
        return f"{value:.0f}"
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign, "+34" or with a true minus, and without a sign if it rounds to zero."""
    text = f"{abs(value):.{decimals}f}"
    return text if not float(text) else f"{'+' if value > 0 else chr(0x2212)}{text}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return "1 lesion" or "3 lesions", from "lesion" alone, or from _("{count} lesion") and _("{count} lesions")."""
    if isinstance(one, Text):
        return (one if count == 1 else many).format(count=count)
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """Join names in a list: "the CT", "the CT and the FDG PET", or "the CT, the FDG PET and the acetate PET"."""
    *before, last = names
    return _("{names} and {last}").format(names=joined(before, ", "), last=last) if before else last
