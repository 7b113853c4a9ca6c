"""One section of the panel: a .ui file of its own inside a collapsible button of the frame.

A section is made once, in the module's `setup`, with the context that all share and the button that it fills. It reads
the context and the scene in `refresh`, writes them in its slots, and knows no other section. A new one is a class in a
file of its own, and its name in `SECTIONS` of `gui.panel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import ctk
import qt
import slicer
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from REACTKDLib.gui.context import PanelContext


class Section(VTKObservationMixin):
    """Base of all sections. `self.ui`: its widgets by name. `self.root`: the whole.

    ui_file: in Resources/UI; empty: `self.root` is an empty widget with a layout.
    """

    ui_file: ClassVar[str] = ""
    #: signals of the context after which it is shown anew; a section that shows less of the context follows fewer
    follows: ClassVar[tuple[str, ...]] = ("changed", "result_changed", "inputs_changed", "state_changed")

    def __init__(self, context: PanelContext, place: Any) -> None:
        """context: shared state. place: the collapsible button, with a layout, that the section goes into."""
        VTKObservationMixin.__init__(self)
        self.context = context
        self.place = place
        self.root = self._loaded()
        place.layout().addWidget(self.root)
        place.layout().setContentsMargins(6, 4, 6, 6)  # verdict and reason are to be seen on one screen
        self.root.layout().setContentsMargins(0, 0, 0, 0)
        self.root.layout().setSpacing(4)
        self.ui = slicer.util.childWidgetVariables(self.root)
        if hasattr(self.root, "setMRMLScene"):
            self.root.setMRMLScene(slicer.mrmlScene)
        self._connected = [getattr(context, name) for name in self.follows]
        for signal in self._connected:
            signal.connect(self._refresh_if_open)

    @classmethod
    def place_name(cls) -> str:
        """Name of its button: casesSection for CasesPanel. What REACTKD.ui has no button for gets one of its own."""
        name = cls.__name__.removesuffix("Panel")
        return f"{name[0].lower()}{name[1:]}Section"

    @classmethod
    def title(cls) -> str:
        """Title of a button of its own, in the language of the application."""
        return cls.__name__.removesuffix("Panel")

    def _loaded(self) -> Any:
        if self.ui_file:
            return slicer.util.loadUI(str(self.context.resources / "UI" / self.ui_file))
        root = qt.QWidget()
        root.setLayout(qt.QVBoxLayout())
        return root

    def _refresh_if_open(self) -> None:
        if not self.context.suspended:
            self.refresh()

    def refresh(self) -> None:
        """Show what is true now. Called after every change: cheap, and without any change of its own."""

    def poll(self) -> None:
        """Move work of its own on. Called by the panel's timer, many times a second."""

    def enter(self) -> None:
        """The user opened the module."""

    def exit(self) -> None:
        """The user left the module: take keyboard shortcuts and other claims on the application back."""

    def before_scene_closes(self) -> None:
        """The scene is about to go: let go of every node."""
        self.removeObservers()

    def cleanup(self) -> None:
        """The panel is about to go, with a reload or with the application: undo everything, more than once is fine."""
        self.removeObservers()
        for signal in self._connected:
            signal.disconnect(self._refresh_if_open)


def empty_layout(layout: Any) -> None:
    """Delete the widgets of a layout, which are gone from the screen at once: deleteLater waits for the next events."""
    while layout.count():
        widget = layout.takeAt(0).widget()
        widget.setParent(None)
        widget.deleteLater()


def place_of(section: type[Section], frame: Any, buttons: Any, before: Any) -> Any:
    """Return the button for a section: that of the frame, or a new one below the button `before` (None: on top).

    buttons: the widgets of the frame by name, as they are before the first section: Slicer looks for them among all
    widgets, of which each section brings more.
    """
    place = getattr(buttons, section.place_name(), None)
    if place is None:
        place = ctk.ctkCollapsibleButton()
        place.objectName = section.place_name()
        place.text = section.title()
        place.setLayout(qt.QVBoxLayout())
        frame.layout().insertWidget(frame.layout().indexOf(before) + 1 if before is not None else 0, place)
    return place
