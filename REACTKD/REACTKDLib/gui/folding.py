"""Folding of a section: it closes to one line while nothing needs attention, and opens by itself otherwise."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from REACTKDLib.gui.plain_text import as_is, as_title

LONGEST = 40  # characters of a title: a longer one would widen a panel of 300 pixels


class Folding:
    """Opens and closes the collapsible button of a section, and summarizes the content in its title.

    A section that the user opened stays open until `key` changes; one that the user closed stays closed until something
    new needs attention.

    place: the button. Its text is the title. on_user: called when the user opens or closes it. held: the user has
    opened it, or works in it.

    Example:
        >>> folding = Folding(place)
        >>> folding.show(_("CT, FDG"), needs=tuple(warnings), key=case_id)
    """

    def __init__(self, place: Any, on_user: Callable[[], Any] = lambda: None) -> None:
        self._on_user = on_user
        self._place, self._title, self._line = place, place.text, ""
        self._needs: Hashable = None
        self._key: Hashable = None
        self._moving = False
        self.held = False
        place.connect("contentsCollapsed(bool)", self._on_toggled)

    def show(self, line: str, needs: Hashable = (), key: Hashable = None, by_user: bool = False) -> None:
        """Open or close the section as needed.

        line: the title while it is closed. needs: things that need attention; empty for none. key: a section that the
        user opened stays open as long as this stays the same. by_user: the change was made in the section itself.
        """
        if by_user:
            self.held = True
        elif key != self._key:
            self.held = False
        if needs and needs != self._needs:
            self._set_collapsed(False)
        elif not needs and not self.held:
            self._set_collapsed(True)
        self._needs, self._key = needs, key
        self.say(line)

    def say(self, line: str) -> None:
        """Show this line in the title while it is closed."""
        self._line = line
        text = f"{self._title}: {line}" if line and self._place.collapsed else self._title
        title = as_title(text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip(' ,;:')}...")
        if (self._place.text, self._place.toolTip) != (title, as_is(line)):
            self._place.text, self._place.toolTip = title, as_is(line)

    def hold(self) -> None:
        """Keep the section open: the user works in it."""
        self.held = True

    def close(self) -> None:
        """Release the button."""
        self._place.disconnect("contentsCollapsed(bool)", self._on_toggled)

    def _set_collapsed(self, collapsed: bool) -> None:
        if self._place.collapsed != collapsed:
            self._moving = True
            self._place.collapsed = collapsed
            self._moving = False

    def _on_toggled(self, collapsed: bool) -> None:
        if not self._moving:
            self.held = not collapsed
            self._on_user()
        self.say(self._line)
