"""Translation of texts to the application's language; without the application, texts stay in English."""

from __future__ import annotations

from REACTKDLib.core.text import FIELD, Text, isolated, sentence

try:
    from slicer.i18n import tr, translate
except ImportError:

    def tr(text: str) -> str:
        """Return the text."""
        return text

    def translate(_context: str, text: str) -> str:
        """Return the text."""
        return text


def translated(text: str) -> str:
    """Return a text for display: a `Text` by the translation of its template, any other as it is.

    Values that are no texts themselves may be names: see `isolated`.
    """
    if not isinstance(text, Text):
        return text
    template = translate(text.context, text.template) if text.context else text.template
    if set(FIELD.findall(template)) != set(FIELD.findall(text.template)):  # so that a translation error hides no value
        template = text.template
    values = {n: translated(v) if isinstance(v, Text) else _value(v) for n, v in text.values.items()}
    filled = FIELD.sub(lambda field: values[field[1]], template) if values else template
    return sentence(filled) if text.raised else filled


def _value(value: str) -> str:
    """Return the value of a placeholder for display; one of several lines, such as a list, keeps them."""
    return "\n".join(map(isolated, value.split("\n")))


__all__ = ["tr", "translated"]
