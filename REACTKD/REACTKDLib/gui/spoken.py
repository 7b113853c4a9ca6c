"""What the core says, in the language of the application.

Findings, faults and the names of steps are made far from the interface, travel between processes and stand in files, as
English sentences. Where one is shown, it is recognized by the text that it was made from, and said again from that
text's translation with the same values; what is not recognized, or has no translation, is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from slicer.i18n import translate

from REACTKDLib.core.text import sentence
from REACTKDLib.gui.sentences import SENTENCES

CONTEXT = "gui.sentences"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def spoken(text: str) -> str:
    """Return a sentence of the core, several of them, or a phrase of one, for people."""
    said = _said(text)
    if said is None:
        said = "\n".join(" ".join(_said(part) or part for part in _parts(line)) for line in text.split("\n"))
    return said


def _parts(line: str) -> list[str]:
    """The sentences of a line."""
    return re.split(r"(?<=\.) (?=[A-Z'\d])", line)


def _said(text: str) -> str | None:
    """The translation of what is recognized as a whole."""
    found = recognized(text)
    if found is None:
        return None
    template, values, raised = found
    translation = translate(CONTEXT, template)
    if translation == template:
        return text
    if set(_PLACEHOLDER.findall(translation)) != set(values):  # a translator's slip must not hide what is said
        return text
    said = "".join(
        spoken(values[part]) if n % 2 else _plain(part) for n, part in enumerate(_PLACEHOLDER.split(translation))
    )
    return sentence(said) if raised else said


@lru_cache(maxsize=512)
def recognized(text: str) -> tuple[str, Mapping[str, str], bool] | None:
    """Return what a text was made from: the template, its values, and whether its first letter was raised; or None.

    Of several that fit, the one with the most text of its own.
    """
    for raised, looked_for in ((False, text), (True, text[:1].lower() + text[1:])):
        for template, chunks in _templates():
            if not (looked_for.startswith(chunks[0]) and looked_for.endswith(chunks[-1])):
                continue  # most of them; an expression costs a third of a millisecond to make
            found = _pattern(template).fullmatch(looked_for)
            if found is not None:
                return template, found.groupdict(), raised
    return None


@cache
def _templates() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every template with its text between the placeholders, the most telling ones first."""
    chunks = {text: tuple(_plain(part) for part in _PLACEHOLDER.split(text)[::2]) for text in SENTENCES}
    return tuple(sorted(chunks.items(), key=lambda item: -sum(map(len, item[1]))))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """What a template looks like when it is said. A count is a number, another value any text."""
    out, seen = "", set()
    for n, part in enumerate(_PLACEHOLDER.split(template)):
        if n % 2 == 0:
            out += re.escape(_plain(part))
        elif part in seen:
            out += f"(?P={part})"
        else:
            seen.add(part)
            out += f"(?P<{part}>" + (r"\d+)" if part == "count" else ".+?)")
    return re.compile(out, re.DOTALL)


def _plain(part: str) -> str:
    return part.replace("{{", "{").replace("}}", "}")
