"""One section of the panel: a .ui file of its own inside the frame's collapsible button.

A section is made once, in the module's `setup`, with the context that all share and the button that it fills. It reads
the context and the scene in `refresh`, writes them in its slots, and knows no other section.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import slicer
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from REACTKDLib.gui.context import PanelContext


class Section(VTKObservationMixin):
    """Base of all sections. `ui_file`: in Resources/UI. `self.ui`: its widgets by name. `self.root`: the whole."""

    ui_file: ClassVar[str]

    def __init__(self, context: PanelContext, place: Any) -> None:
        """context: shared state. place: the collapsible button, with a layout, that the section goes into."""
        VTKObservationMixin.__init__(self)
        self.context = context
        self.place = place
        self.root = slicer.util.loadUI(str(context.resources / "UI" / self.ui_file))
        place.layout().addWidget(self.root)
        self.root.layout().setContentsMargins(0, 0, 0, 0)  # the button has margins; two are too much at 300 pixels
        self.ui = slicer.util.childWidgetVariables(self.root)
        if hasattr(self.root, "setMRMLScene"):
            self.root.setMRMLScene(slicer.mrmlScene)
        self._connected = [
            context.changed,
            context.result_changed,
            context.inputs_changed,
            context.state_changed,
        ]
        for signal in self._connected:
            signal.connect(self._refresh_if_open)

    def _refresh_if_open(self) -> None:
        if not self.context.suspended:
            self.refresh()

    def refresh(self) -> None:
        """Show what is true now. Called after every change and progress: cheap, and without any change of its own."""

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
