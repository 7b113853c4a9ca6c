"""Section Views: which images are shown and how, in the module's own layout, which is left with the module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.gui.keys import VIEWS, shortcuts, with_key
from REACTKDLib.gui.section import Section
from REACTKDLib.gui.views import fit_reading_views, raise_lesion_names
from REACTKDLib.scene.folder import opacity_of
from REACTKDLib.scene.lesion_names import LesionNames
from REACTKDLib.scene.outputs import is_whole, place_legends, remove_lone_outlines
from REACTKDLib.scene.panel_state import chosen_volumes
from REACTKDLib.scene.pet_colors import GRAY, HOT, TABLES
from REACTKDLib.scene.pet_outlines import forget_pet_outlines, outline_on_pet
from REACTKDLib.scene.reading_layout import is_own, register_layouts
from REACTKDLib.scene.reading_view import FUSED, IMAGES, ReadingView, offered_images, pet_of
from REACTKDLib.scene.reading_views import ReadingViews
from REACTKDLib.scene.region_segmentation import follow_parenchyma, shown_segments
from REACTKDLib.scene.translation import translated
from REACTKDLib.scene.windows import ct_windows, pet_windows

#: key action -> images: see `gui.keys`
IMAGE_KEYS = dict(zip(IMAGES, VIEWS, strict=True))


class ViewsPanel(Section):
    """Connects the buttons with the panel's state, and the state with the views."""

    ui_file = "ViewsPanel.ui"
    follows = ("changed", "result_changed", "inputs_changed")

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        ui = self.ui
        self.views = ReadingViews(context.scene)
        self.names = LesionNames(context.scene)
        self._filling = self._entered = self._closing = self._on_show = self._changing = False
        self._fitted: str | None = None  # ID of the reference image
        self._todo: Iterator[None] | None = None  # pending annotations
        self._layout: Any = None
        self._regions: Any = None  # the segmentation whose display is observed
        self._seen: tuple = ()  # what was shown of it
        buttons = (ui.ctButton, ui.fdgButton, ui.acetateButton, ui.fusedFdgButton, ui.fusedAcetateButton, ui.rowsButton)
        self._buttons = dict(zip(IMAGES, buttons, strict=True))
        for images, button in self._buttons.items():
            button.connect("clicked(bool)", lambda _on=False, images=images: self.on_images(images))
            button.toolTip = with_key(button.toolTip, IMAGE_KEYS[images])
        ui.layoutCheckBox.toolTip = with_key(ui.layoutCheckBox.toolTip, "layout")
        ui.layoutCheckBox.connect("toggled(bool)", lambda on: self._set(on=on))
        ui.petColorsComboBox.addItems([{GRAY: _("Inverted gray"), HOT: _("Hot")}[table] for table in TABLES])
        ui.petColorsComboBox.connect("activated(int)", self.on_table)
        ui.petOpacitySlider.connect("valueChanged(int)", lambda percent: self._set(opacity=percent / 100))
        ui.ctWindowComboBox.connect("activated(int)", self.on_ct_window)
        ui.petWindowComboBox.connect("activated(int)", self.on_pet_window)
        ui.namesCheckBox.connect("toggled(bool)", lambda on: self._set(names=on))
        ui.projectionCheckBox.connect("toggled(bool)", lambda on: self._set(projection=on))
        keys = {key: lambda images=images: self.on_images(images) for images, key in IMAGE_KEYS.items()}
        self._keys = shortcuts({**keys, "layout": self.on_layout_key})
        for signal in self._drawn():
            signal.connect(self.on_outputs)
        context.pictures_wanted.connect(self.on_pictures_wanted)
        self._follow_layout()
        self.refresh()

    @classmethod
    def title(cls) -> str:
        return _("Views")

    def _drawn(self) -> tuple[Any, ...]:
        """Return the signals after which views show other regions, or other surfaces of them."""
        controller = self.context.controller
        return controller.regions_shown, controller.surfaces_shown, controller.outputs_changed

    # actions

    def on_images(self, images: str) -> None:
        """Show these images, in the module's layout; ignored if the case does not have them."""
        if images in offered_images(self.views.available()):
            self._set(images=images, on=True)
        else:
            self.refresh()  # resets the button

    def on_layout_key(self) -> None:
        """Switch between the module's layout and the user's."""
        self._set(on=not self.context.state.reading_view.on)

    def on_table(self, index: int) -> None:
        """Change the colors of the PET; fused and alone have separate settings."""
        fused = self._shown() in FUSED
        self._set(**{"fused_table" if fused else "alone_table": TABLES[index]})

    def on_ct_window(self, index: int) -> None:
        """Another window of the CT."""
        self.views.forget_windows()
        self._set(ct_window=ct_windows()[index].key)

    def on_pet_window(self, index: int) -> None:
        """Another window of both PETs."""
        self.views.forget_windows()
        self._set(pet_window=pet_windows(self._pet_unit())[index].key)

    def on_outputs(self, _parameter_node: Any = None) -> None:
        """Regions were drawn: place their names and legend in the current views."""
        self._annotate()

    def on_pictures_wanted(self) -> None:
        """Create pending annotations now."""
        while self._todo is not None and not self.context.suspended:
            self.poll()

    def _set(self, **changes: Any) -> None:
        if self._filling or self.context.suspended:
            return
        state = self.context.state
        state.set_reading_view(replace(state.reading_view, **changes))
        self.context.changed()

    # display

    def refresh(self) -> None:
        """Show the selected images, and the current choices."""
        if self._closing or slicer.app.layoutManager() is None:
            self.place.visible = slicer.app.layoutManager() is not None
            return
        view = self.context.state.reading_view
        volumes = chosen_volumes(self.context.state.volumes) if self._entered and self.context.nodes is not None else {}
        self._changing = True
        changed = self.views.show(volumes, view)
        self._changing = False
        self._on_show = bool(volumes and view.on and self._shown())
        if self._on_show:
            self._fit(changed)
        self._fill(view)
        self._annotate()

    def _shown(self) -> str:
        return self.context.state.reading_view.shown(self.views.available())

    def _pet_unit(self) -> Unit:
        pet = pet_of(self._shown(), self.views.available())
        return self.views.unit(pet) if pet is not None else Unit.UNKNOWN

    def _fit(self, changed: bool) -> None:
        """Fit the slices to another case, or to views of another size; otherwise they stay where the reader left
        them, also if a PET is left out or added.
        """
        case = self.context.nodes.reference.GetID()
        if changed or case != self._fitted:
            stay, self._fitted = case == self._fitted, case
            qt.QTimer.singleShot(0, lambda: None if self._closing else fit_reading_views(stay))
        if changed:
            self.context.show_anew()  # also a map, in new views

    def poll(self) -> None:
        """Continue with images, outlines and names; one view at a time, since each takes a twentieth of a second."""
        todo = self._todo
        if todo is not None and not self.context.suspended and next(todo, self) is self and self._todo is todo:
            self._todo = None

    @property
    def working(self) -> bool:
        """True while annotations are pending."""
        return self._todo is not None

    def _annotate(self) -> None:
        """Update outlines over a PET, names and the legend for the result and the layout; `poll` does the work."""
        self._todo = self._annotations()

    def _annotations(self) -> Iterator[None]:
        """Create the annotations, with a yield after each."""
        outputs = self.context.outputs if not self._closing and not self.context.suspended else None
        self._follow_regions(outputs)
        regions = [node for node in (outputs.liver_outline, outputs.regions) if node] if outputs is not None else []
        remove_lone_outlines(self.context.scene)
        forget_pet_outlines(self.context.scene, {node.GetID() for node in regions})
        if outputs is not None:
            place_legends(outputs)
        view = self.context.state.reading_view if regions else ReadingView()
        pets, on_white = self.views.pet_views(view) if self._on_show else ([], False)
        for segmentation in regions:
            for _made in outline_on_pet(segmentation, pets, on_white):
                yield
        yield from self.names.show_steps(outputs.regions if regions and view.names else None)
        raise_lesion_names()

    def _fill(self, view: ReadingView) -> None:
        ui, available, shown = self.ui, self.views.available(), self._shown()
        self._filling = True
        try:
            ui.layoutCheckBox.checked = view.on
            for images, button in self._buttons.items():
                button.enabled = images in offered_images(available)
                button.checked = view.on and images == shown
            pet, fused = pet_of(shown, available), shown in FUSED
            ui.petColorsComboBox.setCurrentIndex(TABLES.index(view.table(shown)))
            ui.petOpacitySlider.value = round(100 * view.opacity)
            ui.petOpacitySlider.enabled = view.on and fused
            self._fill_windows(ui.ctWindowComboBox, ct_windows(self.context.task), view.ct_window)
            self._fill_windows(ui.petWindowComboBox, pet_windows(self._pet_unit()), view.pet_window)
            ui.ctWindowComboBox.enabled = view.on and Modality.CT in available
            for widget in (ui.petColorsComboBox, ui.petWindowComboBox, ui.projectionCheckBox):
                widget.enabled = view.on and pet is not None
            ui.projectionCheckBox.checked = view.projection
            ui.namesCheckBox.checked = view.names
        finally:
            self._filling = False

    @staticmethod
    def _fill_windows(box: Any, windows: tuple, key: str) -> None:
        titles = [translated(window.title) for window in windows]
        if [box.itemText(index) for index in range(box.count)] != titles:
            box.clear()
            box.addItems(titles)
        keys = [window.key for window in windows]
        box.setCurrentIndex(keys.index(key) if key in keys else 0)

    # changes by the user outside the section

    def _follow_regions(self, outputs: Any | None) -> None:
        """Names and outlines are in no list of Slicer: they are shown and hidden with their regions."""
        regions = outputs.regions if outputs is not None else None
        display = regions.GetDisplayNode() if regions is not None else None
        self._regions = regions
        self._seen = _seen_of(regions)
        if display is None or not self.hasObserver(display, vtk.vtkCommand.ModifiedEvent, self.on_regions_display):
            self.removeObservers(self.on_regions_display)
            if display is not None:
                self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self.on_regions_display)
                for event in (slicer.vtkSegmentation.SegmentRemoved, slicer.vtkSegmentation.SegmentModified):
                    self.addObserver(regions.GetSegmentation(), event, self.on_regions_display)

    def on_regions_display(self, _caller: Any = None, _event: Any = None) -> None:
        """Regions, their display or their folder were changed, by the user or by this module."""
        outputs = self.context.outputs if not self._closing and not self.context.suspended else None
        if outputs is None or outputs.regions is not self._regions or not is_whole(self.context.parameter_node):
            return  # a result that is being written signals its end
        if _seen_of(self._regions) != self._seen:
            if outputs.liver_outline is not None:
                follow_parenchyma(outputs.liver_outline, self._regions)
            self._annotate()

    # lifecycle

    def _follow_layout(self) -> None:
        self._layout = register_layouts(self.context.scene)
        if self._layout is not None and not self.hasObserver(
            self._layout, vtk.vtkCommand.ModifiedEvent, self.on_layout
        ):
            self.addObserver(self._layout, vtk.vtkCommand.ModifiedEvent, self.on_layout, priority=-10.0)

    def on_layout(self, _caller: Any = None, _event: Any = None) -> None:
        """The layout was changed, by this section or by the user, who has then left the module's layout."""
        if self._closing or self.context.suspended:
            return
        self.names.forget_views()
        self._annotate()
        if self._entered and self._on_show and not is_own(self._layout) and not self._changing:
            self._set(on=False)

    def enter(self) -> None:
        """The module was opened: show its layout, and claim its keys."""
        self._entered = True
        self._closing = False
        self._follow_layout()
        self._keys.claim(self.root)
        self.refresh()

    def exit(self) -> None:
        """Another module was opened: restore the user's layout."""
        self._entered = self._on_show = False
        self._keys.release()
        forget_pet_outlines(self.context.scene)
        self._annotate()
        self.views.close()
        if not self.context.suspended:
            self._fill(self.context.state.reading_view)

    def before_scene_closes(self) -> None:
        """Restore the user's layout before the scene closes, and release its images.

        The layout node stays in the scene and remains observed.
        """
        self._on_show = False
        self._follow_regions(None)
        self.views.close()
        self._todo = None
        self.names.close()
        forget_pet_outlines(self.context.scene)
        self._fitted = None

    def cleanup(self) -> None:
        """Restore everything."""
        self._closing = True
        self._keys.release()
        self._todo = None
        self.views.close()
        self.names.close()
        forget_pet_outlines(self.context.scene)
        for signal in self._drawn():
            signal.disconnect(self.on_outputs)
        self.context.pictures_wanted.disconnect(self.on_pictures_wanted)
        super().cleanup()


def _seen_of(regions: Any | None) -> tuple:
    """Return what names and outlines follow: the segments of the regions that are shown, their names and opacity."""
    if regions is None:
        return ()
    data = regions.GetSegmentation()
    return *((item, data.GetSegment(item).GetName()) for item in shown_segments(regions)), opacity_of(regions)
