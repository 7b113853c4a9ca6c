"""Base class of the panel's sections, each with its own .ui file inside a collapsible button of the frame.

A section is created once, in the module's `setup`, with the shared context and its button. It reads the context and the
scene in `refresh`, changes them in its slots, and does not refer to other sections. A new one is a class in a separate
file, and an entry in `SECTIONS` of `gui.panel`.
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
    #: signals of the context after which it is refreshed; a section that shows less of the context lists fewer
    follows: ClassVar[tuple[str, ...]] = ("changed", "result_changed", "inputs_changed", "state_changed")

    def __init__(self, context: PanelContext, place: Any) -> None:
        """context: shared state. place: the collapsible button, with a layout, that contains the section."""
        VTKObservationMixin.__init__(self)
        self.context = context
        self.place = place
        self.root = self._loaded()
        place.layout().addWidget(self.root)
        place.layout().setContentsMargins(6, 4, 6, 6)  # result and explanation must fit on one screen
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
        """Name of its button: casesSection for CasesPanel.

        A new button is created if REACTKD.ui has none with this name.
        """
        name = cls.__name__.removesuffix("Panel")
        return f"{name[0].lower()}{name[1:]}Section"

    @classmethod
    def title(cls) -> str:
        """Title of a newly created button, in the language of the application."""
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
        """Show the current state. Called after every change: must be cheap and must not change anything."""

    def poll(self) -> None:
        """Advance its own work. Called by the panel's timer, many times a second."""

    @property
    def working(self) -> bool:
        """True while `poll` has work to do: the panel's timer then calls it more often."""
        return False

    def enter(self) -> None:
        """The user opened the module."""

    def exit(self) -> None:
        """The user left the module: release keyboard shortcuts and other resources of the application."""

    def before_scene_closes(self) -> None:
        """The scene is about to close: release every node."""
        self.removeObservers()

    def cleanup(self) -> None:
        """The panel is about to be removed, by a reload or with the application: undo everything; may be called
        twice.
        """
        self.removeObservers()
        for signal in self._connected:
            signal.disconnect(self._refresh_if_open)


def empty_layout(layout: Any) -> None:
    """Delete the widgets of a layout and hide them at once, since deleteLater waits for the next events."""
    while layout.count():
        widget = layout.takeAt(0).widget()
        widget.setParent(None)
        widget.deleteLater()


def place_of(section: type[Section], frame: Any, buttons: Any, before: Any) -> Any:
    """Return the button of a section: the frame's, or a new one below the button `before` (None: at the top).

    buttons: the widgets of the frame by name, collected before the first section is built: `childWidgetVariables`
    searches all widgets, and each section adds more.
    """
    place = getattr(buttons, section.place_name(), None)
    if place is None:
        place = ctk.ctkCollapsibleButton()
        place.objectName = section.place_name()
        place.text = section.title()
        place.setLayout(qt.QVBoxLayout())
        frame.layout().insertWidget(frame.layout().indexOf(before) + 1 if before is not None else 0, place)
    return place
