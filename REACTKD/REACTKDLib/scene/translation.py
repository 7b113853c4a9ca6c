"""Translation of texts to the application's language; without the application, texts stay in English."""

from __future__ import annotations

from REACTKDLib.core.text import FIELD, Text, sentence

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
    """Return a text for display: a `Text` by the translation of its template, any other as it is."""
    if not isinstance(text, Text):
        return text
    template = translate(text.context, text.template) if text.context else text.template
    if set(FIELD.findall(template)) != set(FIELD.findall(text.template)):  # so that a translation error hides no value
        template = text.template
    values = {name: translated(value) for name, value in text.values.items()}
    filled = FIELD.sub(lambda field: values[field[1]], template) if values else template
    return sentence(filled) if text.raised else filled


__all__ = ["tr", "translated"]
