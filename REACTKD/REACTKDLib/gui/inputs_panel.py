"""Section Inputs: the nodes of the case, recognized automatically and corrected by hand, with their properties."""

from __future__ import annotations

from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.text import isolated, sentence
from REACTKDLib.gui.findings import BEFORE_THE_CHANGE, input_findings_of, urgent
from REACTKDLib.gui.folding import Folding
from REACTKDLib.gui.plain_text import as_is
from REACTKDLib.gui.section import Section
from REACTKDLib.gui.words import joined, short_image, volume_words
from REACTKDLib.scene.input_info import input_findings, volume_info
from REACTKDLib.scene.panel_state import chosen_volumes
from REACTKDLib.scene.recognize_inputs import recognize_inputs
from REACTKDLib.scene.segments import SegmentChoice, choose_segments
from REACTKDLib.scene.translation import translated

_TOGETHER = "\n"  # separator of the IDs of several segments that together are the liver


class InputsPanel(Section):
    """Connects the selectors with the panel's state, which is authoritative."""

    ui_file = "InputsPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        ui = self.ui
        self.selectors = {
            Modality.CT: ui.ctSelector,
            Modality.FDG: ui.fdgSelector,
            Modality.ACETATE: ui.acetateSelector,
        }
        self.lines = {Modality.CT: ui.ctInfoLabel, Modality.FDG: ui.fdgInfoLabel, Modality.ACETATE: ui.acetateInfoLabel}
        self.folding = Folding(place, self._refresh_if_open)
        self._filling = self._choosing = False
        self._known_lines: dict[Modality, tuple] = {}
        self._shown: Any = None
        # Only choices of the user: a selector also drops its node, with a signal, whenever it rebuilds its rows.
        for modality, selector in self.selectors.items():
            selector.connect("nodeActivated(vtkMRMLNode*)", partial(self.on_volume_chosen, modality))
        ui.segmentationSelector.connect("nodeActivated(vtkMRMLNode*)", self.on_segmentation_chosen)
        ui.liverComboBox.connect("activated(int)", self.on_segments_chosen)
        ui.tumorList.connect("itemChanged(QListWidgetItem*)", self.on_segments_chosen)
        ui.recognizeButton.connect("clicked(bool)", self.on_recognize)
        ui.showChoicesButton.connect("clicked(bool)", self.on_show_choices)
        self.refresh()

    # actions

    def on_volume_chosen(self, modality: Modality, node: Any) -> None:
        """Another image, or none."""
        if not self.context.suspended:
            self.context.state.set_volume(modality, node)
            self._read_choice()

    def on_segmentation_chosen(self, node: Any) -> None:
        """Another segmentation, or none."""
        if not self.context.suspended:
            self.context.state.set_segmentation(node)
            self._read_choice()

    def on_segments_chosen(self, _what: Any = None) -> None:
        """Take over other liver or tumor segments.

        A choice equal to the recognition is left to it, which follows new segments.
        """
        if self._filling:
            return
        items = [self.ui.tumorList.item(row) for row in range(self.ui.tumorList.count)]
        tumors = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Checked]
        chosen = self.ui.liverComboBox.itemData(self.ui.liverComboBox.currentIndex) or ""
        livers = chosen.split(_TOGETHER) if chosen else None
        recognized = self._recognized()
        state = self.context.state
        if recognized is not None and (recognized.livers, recognized.tumors) == (tuple(livers or ()), tuple(tumors)):
            state.set_segments(None, None)
        else:
            state.set_segments(livers, tumors)
        self._read_choice()

    def on_recognize(self, _checked: bool = False) -> None:
        """Recognize everything again; inputs that are not recognized keep their choice."""
        self.folding.hold()
        self.recognize()

    def on_show_choices(self, _checked: bool = False) -> None:
        """Show the whole section, not only what needs a check."""
        self.folding.hold()
        self.refresh()

    def _read_choice(self) -> None:
        """Read the choices made in this section, which stays open meanwhile."""
        self._choosing = True
        try:
            self.context.read_inputs()
        finally:
            self._choosing = False

    def recognize(self, only: set[str] | None = None) -> None:
        """Fill in recognized nodes, unless they complete choices as part of another case that was loaded beside them.

        only: IDs of new nodes; existing choices are then kept.
        """
        found, state = recognize_inputs(self.context.scene, self.context.task), self.context.state
        images_fit = found.images_fit(chosen_volumes(state.volumes), state.segmentation)
        for modality, node in found.volumes.items() if images_fit else ():
            if only is None or (state.volumes[modality] is None and node.GetID() in only):
                state.set_volume(modality, node)
        masks = found.segmentation if found.masks_fit(chosen_volumes(state.volumes)) else None
        if masks is not None and (only is None or (state.segmentation is None and masks.GetID() in only)):
            state.set_segmentation(masks)
        if only is None:
            state.set_segments(None, None)
        self.context.read_inputs()

    def recognize_first(self) -> None:
        """Fill in recognized nodes if nothing is chosen yet."""
        state = self.context.state
        if state.segmentation is None and not any(state.volumes.values()):
            self.recognize()
        else:
            self.context.read_inputs()

    # display

    def refresh(self) -> None:
        """Show the state."""
        self._filling = True
        try:
            state, free = self.context.state, not (self.context.busy or self.context.leaving)
            for modality, selector in self.selectors.items():
                selector.setCurrentNode(state.volumes[modality])
                selector.enabled = free
                self._show_line(modality, state.volumes[modality])
            self.ui.segmentationSelector.setCurrentNode(state.segmentation)
            for widget in (self.ui.segmentationSelector, self.ui.recognizeButton):
                widget.enabled = free
            self._show_segments(state.segmentation, free)
            self._show_warnings()
        finally:
            self._filling = False

    def _show_warnings(self) -> None:
        """Show warnings; if they can be fixed here, or the section was opened by hand, show the choices too."""
        context, ui = self.context, self.ui
        findings = input_findings_of(context.findings)
        wrong = [translated(finding.message) for finding in input_findings(context.state.volumes)]
        if context.problem and context.state.segmentation is not None:  # else the Grade section states it
            wrong.insert(0, context.problem)
        heading = [BEFORE_THE_CHANGE] if findings and context.findings_outdated else []
        warnings = (*wrong, *heading, *(translated(finding.message) for finding in findings))
        ui.inputsWarningLabel.text = "\n".join(warnings)
        ui.inputsWarningLabel.visible = bool(warnings)
        needs = (*wrong, *urgent(findings), *([] if context.nodes is not None else [context.problem]))
        key = None if context.nodes is None else (context.nodes.reference.GetID(), context.findings is not None)
        self.folding.show(self._line(len(wrong) + len(findings)), needs, key, by_user=self._choosing)
        everything = self.folding.held or bool(wrong) or context.nodes is None
        ui.choicesWidget.visible = everything
        ui.showChoicesButton.visible = not everything

    def _line(self, warnings: int) -> str:
        """Return a one-line summary of the case."""
        if self.context.nodes is None:
            return ""
        images = ", ".join(short_image(modality) for modality in self.context.nodes.volumes)
        return _("{images}; {count} to check").format(images=images, count=warnings) if warnings else images

    def _show_line(self, modality: Modality, node: Any) -> None:
        label = self.lines[modality]
        label.visible = node is not None
        if node is None:
            return
        image = node.GetImageData()
        seen = (node.GetID(), node.GetMTime(), image.GetMTime() if image is not None else 0)
        if self._known_lines.get(modality, (None,))[0] != seen:  # the unit of a PET may have to be read from its voxels
            self._known_lines[modality] = seen, volume_words(volume_info(node, modality), modality)
        label.text = self._known_lines[modality][1]

    def _show_segments(self, segmentation: Any, free: bool) -> None:
        combo, tumors = self.ui.liverComboBox, self.ui.tumorList
        self._name_structures()
        data = segmentation.GetSegmentation() if segmentation is not None else None
        ids = data.GetSegmentIDs() if data is not None else []
        segments = [(i, isolated(data.GetSegment(i).GetName())) for i in ids]
        choice = self.context.choice or self._recognized() or SegmentChoice((), ())
        livers = [("", _("None"))]
        if len(choice.livers) > 1:
            livers.append((_TOGETHER.join(choice.livers), joined([dict(segments).get(i, i) for i in choice.livers])))
        livers += segments
        if self._shown != (livers, segments):  # never rebuild a list that was just clicked
            self._shown = livers, segments
            combo.clear()
            for segment_ids, name in livers:
                combo.addItem(name, segment_ids)
            tumors.clear()
            for segment_id, name in segments:
                item = qt.QListWidgetItem(name)
                item.setData(qt.Qt.UserRole, segment_id)
                item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
                item.setCheckState(qt.Qt.Unchecked)
                tumors.addItem(item)
        combo.setCurrentIndex(max(0, combo.findData(_TOGETHER.join(choice.livers))))
        combo.enabled = tumors.enabled = free and bool(segments)
        for row, (segment_id, _name) in enumerate(segments):
            wanted = qt.Qt.Checked if segment_id in choice.tumors else qt.Qt.Unchecked
            if tumors.item(row).checkState() != wanted:
                tumors.item(row).setCheckState(wanted)

    def _name_structures(self) -> None:
        """Name the organ and lesions of the task in labels and tool tips."""
        ui, task = self.ui, self.context.task
        for label, words in ((ui.liverLabel, task.organ.name), (ui.tumorLabel, task.lesion.many)):
            label.text = _("{structure}:").format(structure=sentence(translated(words)))
        names = {"organ": task.organ.name, "lesion": task.lesion.name, "lesions": task.lesion.many}
        names = {key: translated(name) for key, name in names.items()}
        tips = {
            ui.segmentationSelector: _("Segmentation of the {organ} and its {lesions}. It is read, never changed."),
            ui.liverComboBox: _(
                "The segment that is the whole {organ}. Recognized by terminology, then by name; correct it here."
            ),
            ui.tumorList: _("Check every {lesion} segment. None checked: the case has no lesion and gets no grade."),
        }
        for widget, tip in tips.items():
            widget.toolTip = as_is(tip.format(**names))

    def _recognized(self) -> SegmentChoice | None:
        segmentation = self.context.state.segmentation
        try:
            return choose_segments(segmentation, task=self.context.task) if segmentation is not None else None
        except ReactkdError:
            return None

    def cleanup(self) -> None:
        """Release everything."""
        self.folding.close()
        super().cleanup()
