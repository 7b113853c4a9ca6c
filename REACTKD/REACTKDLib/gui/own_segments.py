"""The user's segmentation is hidden while the answer is on show, since its colors cover those of the regions.

Only whether it is shown changes, never the segmentation, and it is put back as it was.
"""

from __future__ import annotations

from typing import Any


class OwnSegments:
    """Remembers which display node was hidden here."""

    def __init__(self) -> None:
        self._hidden: Any = None

    def hide(self, segmentation: Any) -> None:
        """Hide a segmentation that is shown; one that the user has hidden is left as it is."""
        display = segmentation.GetDisplayNode() if segmentation is not None else None
        if display is self._hidden:
            return
        self.restore()
        if display is not None and display.GetVisibility():
            display.SetVisibility(False)
            self._hidden = display

    def restore(self) -> None:
        """Show again what was hidden here."""
        display, self._hidden = self._hidden, None
        if display is not None and display.GetScene() is not None:
            display.SetVisibility(True)

    def forget(self) -> None:
        """The nodes are going: leave them alone."""
        self._hidden = None
