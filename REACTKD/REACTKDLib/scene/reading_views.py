"""Shows the images of the current case in the module's own views (layout, layers, windows, colors), and restores the
user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.scene.heat_map import set_foreground
from REACTKDLib.scene.input_info import volume_info
from REACTKDLib.scene.pet_colors import GRAY, pet_table
from REACTKDLib.scene.projection import show_projection
from REACTKDLib.scene.reading_layout import leave_layout, own_composites, show_layout, slice_nodes
from REACTKDLib.scene.reading_view import FUSED, ROWS, ReadingView, layers_of, pet_of
from REACTKDLib.scene.view_images import ViewImages
from REACTKDLib.scene.windows import window_of

_GRAY = "vtkMRMLColorTableNodeGrey"
PETS = (Modality.FDG, Modality.ACETATE)


class ReadingViews:
    """Only the choice of the layout changes for the user, and it is restored.

    views = ReadingViews(scene)
    views.show(nodes.volumes, ReadingView())     # True: the layout is another one, so fit the slices
    views.leave()                                # the user's layout; the module's nodes stay for the next time
    views.close()                                # and these go, too
    """

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self.images = ViewImages(scene)
        self._windows: dict[Modality, tuple] = {}
        self._units: dict[Modality, tuple] = {}

    def show(self, volumes: Mapping[Modality, Any], view: ReadingView) -> bool:
        """Show the images of a case as `view` says; without an image, or with `view.on` off, leave.

        Returns True if the layout changed. Window changes by mouse are kept as long as the same window is selected.
        """
        self.images.show(volumes)
        shown = view.shown(self.available())
        if not view.on or not shown:
            self.leave()
            return False
        rows = layers_of(shown, self.available())
        changed = show_layout(self.scene, len(rows))
        for modality in {layer for row in rows for layer in row if layer is not None}:
            self._color(modality, view, shown)
        for number, (back, front) in enumerate(rows, start=1):
            self._lay(number, back, front, view.opacity)
        self._project(view, shown)
        return changed

    def available(self) -> tuple[Modality, ...]:
        """The images of the current case."""
        return tuple(modality for modality in Modality if self.images.source(modality) is not None)

    def unit(self, modality: Modality) -> Unit:
        """Return the unit of an image, as its node states or its values suggest; determined once."""
        source = self.images.source(modality)
        key = (source.GetID(), source.GetImageData(), source.GetMTime()) if source is not None else None
        if key is None:
            return Unit.UNKNOWN
        if self._units.get(modality, (None,))[0] != key:
            info = volume_info(source, modality)
            self._units[modality] = key, info.unit if info is not None else Unit.UNKNOWN
        return self._units[modality][1]

    def pet_views(self, view: ReadingView) -> tuple[list[Any], bool]:
        """Return the slice nodes of this module that show a PET, and whether on a white background."""
        shown = view.shown(self.available()) if view.on else ""
        rows = enumerate(layers_of(shown, self.available()), start=1)
        views = [node for row, layers in rows for node in slice_nodes(self.scene, row) if set(layers) & set(PETS)]
        return views, view.table(shown) == GRAY and shown not in FUSED

    def forget_windows(self) -> None:
        """Reset the windows at the next `show`, even if the reader has changed them by mouse."""
        self._windows = {}

    def leave(self) -> None:
        """Show the user's layout again. May be called twice."""
        show_projection(self.scene, None)
        leave_layout(self.scene)

    def close(self) -> None:
        """Leave, and release the images. May be called twice, and while the scene closes."""
        self.leave()
        self.images.release()
        self._windows, self._units = {}, {}

    def _color(self, modality: Modality, view: ReadingView, shown: str) -> None:
        node, source = self.images.node(modality), self.images.source(modality)
        display = node.GetDisplayNode()
        key = view.ct_window if modality is Modality.CT else view.pet_window
        fused = modality is not Modality.CT and shown in FUSED
        table = _GRAY if modality is Modality.CT else pet_table(self.scene, view.table(shown), fused).GetID()
        asked = source.GetID(), key
        hold = display.StartModify()
        if display.GetColorNodeID() != table:
            display.SetAndObserveColorNodeID(table)
        if self._windows.get(modality) != asked:
            self._windows[modality] = asked
            display.SetWindowLevelMinMax(*window_of(modality, key, source, self.unit(modality)))
        display.EndModify(hold)

    def _lay(self, row: int, back: Modality, front: Modality | None, opacity: float) -> None:
        background, foreground = self.images.node(back), self.images.node(front) if front is not None else None
        for composite in own_composites(self.scene, row):
            if composite.GetBackgroundVolumeID() != background.GetID():
                composite.SetBackgroundVolumeID(background.GetID())
            set_foreground(composite, foreground, opacity if foreground is not None else 0.0)

    def _project(self, view: ReadingView, shown: str) -> None:
        pet = pet_of(shown, self.available()) if view.projection and shown != ROWS else None
        if pet is None:
            show_projection(self.scene, None)
            return
        display = self.images.node(pet).GetDisplayNode()
        window = display.GetWindowLevelMin(), display.GetWindowLevelMax()
        show_projection(self.scene, self.images.node(pet), window)
