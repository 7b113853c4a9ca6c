"""Slicer's translation where there is Slicer; the scene without the application says things as they are written."""

from __future__ import annotations

try:
    from slicer.i18n import tr, translate
except ImportError:

    def tr(text: str) -> str:
        """Return the text."""
        return text

    def translate(_context: str, text: str) -> str:
        """Return the text."""
        return text


__all__ = ["tr", "translate"]
