"""Section Why: which regions determined the grade, where they are, and the grade without some of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.reports.share_words import explained
from REACTKDLib.core.text import sentence
from REACTKDLib.gui import region_table
from REACTKDLib.gui.findings import BEFORE_THE_CHANGE
from REACTKDLib.gui.section import Section, empty_layout
from REACTKDLib.gui.views import show_case
from REACTKDLib.gui.words import color_words, image_words, overlay_words, what_if_words
from REACTKDLib.scene.grading import CHANGED
from REACTKDLib.scene.hiding import ANSWER, hide_only
from REACTKDLib.scene.jump import jump_to
from REACTKDLib.scene.overlay import Overlay, overlays_for
from REACTKDLib.scene.translation import translated
from REACTKDLib.scene.view_choice import show_legends


class WhyPanel(Section):
    """The region table, what-if, and the display of the result."""

    ui_file = "WhyPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        ui = self.ui
        self._filling = False
        self._tabled: GradeReport | None = None
        self._of: Any = None  # the reference image of the case in the table
        self._sorted = region_table.by_effect()
        self._overlays: tuple[Overlay, ...] = ()
        self._input_boxes: dict[Modality, Any] = {}
        self._entered = False
        ui.regionTable.verticalHeader().hide()
        ui.regionTable.verticalHeader().setDefaultSectionSize(region_table.ROW_HEIGHT)
        ui.regionTable.horizontalHeader().setSectionsClickable(True)
        ui.regionTable.horizontalHeader().connect("sectionClicked(int)", self.on_title_clicked)
        ui.regionTable.connect("cellClicked(int,int)", self.on_region_clicked)
        ui.regionTable.connect("currentCellChanged(int,int,int,int)", lambda *_cells: self._show_details())
        ui.regionTable.connect("itemChanged(QTableWidgetItem*)", self.on_take_part_changed)
        ui.everythingButton.connect("clicked(bool)", self.on_everything)
        ui.overlayComboBox.connect("activated(int)", self.on_overlay)
        ui.opacitySlider.connect("valueChanged(int)", self.on_opacity)
        for box, field in self._view_boxes():
            box.connect("toggled(bool)", lambda on, field=field: self._set_view(**{field: on}))
        ui.segmentsCheckBox.connect("toggled(bool)", self.on_own_segments)
        context.controller.regions_shown.connect(self.refresh)
        self.refresh()

    def _view_boxes(self) -> tuple[tuple[Any, str], ...]:
        ui = self.ui
        return (ui.threeDCheckBox, "three_d"), (ui.graphCheckBox, "graph")

    # actions

    def on_region_clicked(self, row: int, _column: int = 0) -> None:
        """Show the region in the slices."""
        index, report = region_table.region_at(self.ui.regionTable, row), self.context.report
        nodes = self.context.nodes
        if index is None or report is None or nodes is None or index >= len(report.regions):
            return
        place = report.regions[index].centroid_ras_mm
        if place is not None and nodes.present:  # otherwise another case replaces it in a moment
            self.context.masks_on_show = False
            self._show_own_segments()
            show_case(nodes)
            jump_to(nodes.reference, place)

    def on_title_clicked(self, column: int) -> None:
        """Sort the table by a column."""
        self._sorted = region_table.order_after(self._sorted, column)
        region_table.sort(self.ui.regionTable, *self._sorted)

    def on_take_part_changed(self, _what: Any = None) -> None:
        """A region or an image was excluded, or included again."""
        report = self.context.report
        if self._filling or report is None:
            return
        mute, leave_out = self._left_out(report)
        self.ui.everythingButton.enabled = bool(mute or leave_out)
        if not self._refusal() and self.context.nodes is not None:
            self.context.what_if(mute, leave_out)
        self._show_what_if(report)

    def _left_out(self, report: GradeReport) -> tuple[tuple[str, ...], tuple[Modality, ...]]:
        """Return the excluded regions and images, from their boxes."""
        regions = sorted(region_table.regions_left_out(self.ui.regionTable))
        images = (modality for modality, box in self._input_boxes.items() if not box.checked)
        return tuple(report.regions[n].name for n in regions), tuple(images)

    def on_everything(self, _checked: bool = False) -> None:
        """Include everything again."""
        self._filling = True
        self._leave_out(set(), ())
        self._filling = False
        self.on_take_part_changed()

    def _leave_out(self, regions: Collection[int], images: Collection[Modality]) -> None:
        """Set the boxes, so that only these regions and images are excluded; `_filling` must be set."""
        region_table.leave_out(self.ui.regionTable, regions)
        for modality, box in self._input_boxes.items():
            box.checked = modality not in images

    def on_overlay(self, index: int) -> None:
        """Change the value that colors represent."""
        if 0 <= index < len(self._overlays):
            self._set_view(overlay=self._overlays[index])

    def on_opacity(self, percent: int) -> None:
        """Change the opacity in the slices."""
        self._set_view(opacity=percent / 100)

    def on_own_segments(self, on: bool) -> None:
        """Show the user's segmentation beside the answer, or not."""
        if not self._filling:
            self.context.state.own_segments = on
            self.context.changed()

    def _set_view(self, **changes: Any) -> None:
        if not self._filling:
            self.context.set_view(**changes)

    # display

    def refresh(self) -> None:
        """Show the result and its display settings."""
        self._filling = True
        try:
            report = self.context.report
            graded = report is not None and report.grade is not None
            self.ui.regionTable.visible = report is not None
            self.ui.regionDetailsLabel.visible = report is not None
            for widget in (self.ui.whatIfTitle, self.ui.inputsInUseWidget, self.ui.everythingButton):
                widget.visible = graded
            self._show_hint(report)
            self._show_regions(report)
            self._follow_answer(report)
            self._show_what_if(report)
            self._show_view(report)
            self._show_own_segments()
        finally:
            self._filling = False

    def _show_hint(self, report: GradeReport | None) -> None:
        if report is None:
            text = _("After grading, this section shows which regions decided.")
        elif report.grade is None:
            text = _("There is no grade to explain.")
        else:
            text = "\n".join([*(translated(text) for text in explained(report)), self._colors_hint(report)])
        self.ui.whyHintLabel.text = text

    def _colors_hint(self, report: GradeReport) -> str:
        """Return what the colors represent; a stored result colors nothing, and the user's segments have others."""
        if self.context.outputs is None:
            return _("Click a row to see the region.")
        colors = color_words(self.context.state.view.overlay.offered_by(report), report.task)
        return _("{colors}; click a row to see the region.").format(colors=colors)

    def _show_regions(self, report: GradeReport | None) -> None:
        if report is not None and self._tabled is report:
            return  # exclusions are kept
        reference = self.context.nodes.reference if self.context.nodes is not None else None
        chosen = self._chosen_name() if reference is self._of else ""
        self._tabled, self._of = report, reference
        self.context.masks_on_show = False
        if report is None:
            self.ui.regionTable.setRowCount(0)
            return
        region_table.fill(self.ui.regionTable, report)
        if not chosen or self._sorted[0] >= self.ui.regionTable.columnCount:
            self._sorted = region_table.by_effect()
        if chosen:  # the same case: while correcting masks, the user stays with one region
            region_table.sort(self.ui.regionTable, *self._sorted)
            region_table.choose(self.ui.regionTable, [row.name for row in report.regions], chosen)
        self.ui.regionDetailsLabel.toolTip = region_table.details_tip(report)
        self._show_details()
        self._make_input_boxes([Modality(name) for name in report.inputs])
        self.ui.everythingButton.enabled = False

    def _chosen_name(self) -> str:
        """Return the name of the region in the selected row; empty for none."""
        table = self.ui.regionTable
        index = region_table.region_at(table, table.currentRow())
        return self._tabled.regions[index].name if self._tabled is not None and index is not None else ""

    def _show_details(self) -> None:
        """Show every number of the selected region below the table, so that none is hidden behind a scroll bar."""
        report, table = self.context.report, self.ui.regionTable
        index = region_table.region_at(table, table.currentRow())
        known = report is not None and index is not None and index < len(report.regions)
        self.ui.regionDetailsLabel.text = region_table.details(report, index) if known else ""

    def _make_input_boxes(self, inputs: list[Modality]) -> None:
        layout = self.ui.inputsInUseWidget.layout()
        empty_layout(layout)
        self._input_boxes = {}
        for modality in inputs:
            box = qt.QCheckBox(sentence(image_words(modality)))
            box.objectName = f"{modality.value}InUseCheckBox"
            box.checked = True
            box.connect("toggled(bool)", self.on_take_part_changed)
            layout.addWidget(box)
            self._input_boxes[modality] = box

    def _refusal(self) -> str:
        """Return why there is no result for the exclusions, in a sentence; empty if there is one."""
        if not self.ui.everythingButton.enabled:
            return ""
        if self._input_boxes and not any(box.checked for box in self._input_boxes.values()):
            return _("Keep at least one image.")
        if self.context.leaving:
            return self.context.leaving
        opened = self.context.controller.opened
        lost = opened is not None and not opened.nodes.present
        if not lost and self.context.controller.answer is None and self.context.other_model:
            return _("This result is of another model than the one that is chosen; grade again first.")
        return translated(CHANGED) if lost or (opened is not None and not opened.answers_what_if) else ""

    def _follow_answer(self, report: GradeReport | None) -> None:
        """Set the boxes to what the shown answer excludes, when another one was canceled or could not be computed."""
        controller = self.context.controller
        if report is None or controller.busy or controller.waiting or self._refusal():
            return
        answer = controller.what_if_answer
        mute, images = (answer.mute, answer.leave_out) if answer is not None else ((), ())
        if (mute, images) != self._left_out(report):
            self._leave_out({n for n, row in enumerate(report.regions) if row.name in mute}, images)
            self.ui.everythingButton.enabled = bool(mute or images)

    def _show_what_if(self, report: GradeReport | None) -> None:
        answer = self.context.controller.what_if_answer
        label = self.ui.whatIfLabel
        refusal = self._refusal() if report is not None else ""
        shown = report is not None and report.grade is not None and answer is not None
        shown = shown and self.ui.everythingButton.enabled
        label.visible = shown or bool(refusal)
        if refusal:  # the result of an earlier click may arrive meanwhile
            label.text = refusal
        elif shown:
            outdated = (answer.mute, answer.leave_out) != self._left_out(report)  # the next one is being computed
            heading = BEFORE_THE_CHANGE if outdated else ""
            label.text = f"{heading}{what_if_words(report, answer.report)}"

    def _show_view(self, report: GradeReport | None) -> None:
        view, ui = self.context.state.view, self.ui
        self._overlays = overlays_for(report)
        grade = report.grade if report is not None else None
        task = self.context.task if report is None else report.task
        words = [overlay_words(overlay, grade, task) for overlay in self._overlays]
        if [ui.overlayComboBox.itemText(n) for n in range(ui.overlayComboBox.count)] != words:
            ui.overlayComboBox.clear()
            for text in words:
                ui.overlayComboBox.addItem(text)
        known = view.overlay in self._overlays
        ui.overlayComboBox.setCurrentIndex(self._overlays.index(view.overlay) if known else 0)
        ui.opacitySlider.value = round(100 * view.opacity)
        for box, field in self._view_boxes():
            box.checked = getattr(view, field)
        drawn = self.context.outputs is not None
        for widget in (ui.overlayComboBox, ui.opacitySlider, *(box for box, _field in self._view_boxes())):
            widget.enabled = drawn

    def _show_own_segments(self) -> None:
        state = self.context.state
        self.ui.segmentsCheckBox.checked = state.own_segments
        self.ui.segmentsCheckBox.enabled = state.segmentation is not None
        wanted = state.own_segments or self.context.masks_on_show
        hidden = self._entered and not wanted and self.context.outputs is not None
        hide_only(self.context.scene, ANSWER, state.segmentation if hidden else None)
        self._show_legend()

    def _show_legend(self) -> None:
        """Hide the legend while masks are inspected here; in other modules it shows how the grade changes."""
        context = self.context
        before, masks = context.legend_aside, context.masks_on_show or context.proposal_on_show
        context.legend_aside = self._entered and masks
        if (before or context.legend_aside) and context.outputs is not None and context.report is not None:
            show_legends(context.outputs, context.report, context.view)

    # lifecycle

    def enter(self) -> None:
        """The module was opened."""
        self._entered = True
        self.refresh()

    def exit(self) -> None:
        """Another module was opened: the user's segmentation is shown again."""
        self._entered = False
        hide_only(self.context.scene, ANSWER, None)
        self._show_legend()

    def cleanup(self) -> None:
        """Show the user's segmentation again."""
        self.exit()
        self.context.controller.regions_shown.disconnect(self.refresh)
        super().cleanup()
