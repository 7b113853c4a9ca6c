"""Names that users gave (of nodes, segments, cases, files, classes) in texts that Qt may read as more than a text.

A label of a .ui file states its form: plain, or rich for our own markup, into which names go by `escaped`. Tool tips
and questions guess the form, and the text of a button has a keyboard shortcut after each "&".
"""

from __future__ import annotations

from html import escape
from typing import Any

import qt


def escaped(text: str) -> str:
    """Return a text for rich text that shows it as it is."""
    return escape(text, quote=False)


def as_is(text: str) -> str:
    """Return a text for a tool tip or a question, which would read a "<b>" or a "&lt;" in it as markup."""
    if "<" not in text and "&" not in text:
        return text
    return f'<div style="white-space: pre-wrap">{escaped(text)}</div>'


def as_title(text: str) -> str:
    """Return a text for a button, without a keyboard shortcut."""
    return text.replace("&", "&&")


def plain_label(text: str) -> Any:
    """Return a QLabel that shows a text as it is."""
    label = qt.QLabel(text)
    label.textFormat = qt.Qt.PlainText
    return label
