"""Section Masks: what the checks found, where it is, and the ways to correct it. Nothing is changed unasked."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.findings import Finding
from REACTKDLib.gui.findings import mask_findings
from REACTKDLib.gui.section import Section
from REACTKDLib.scene.jump import jump_to


class MasksPanel(Section):
    """Findings with a button to see each, and hand-over to the Segment Editor."""

    ui_file = "MasksPanel.ui"

    def __init__(self, context: Any, place: Any) -> None:
        super().__init__(context, place)
        self._listed: tuple[Finding, ...] | None = None
        self.ui.segmentEditorButton.connect("clicked(bool)", self.on_segment_editor)
        self.refresh()

    def on_show(self, finding: Finding) -> None:
        """Jump to the place of a finding."""
        if self.context.nodes is not None and finding.location_ras is not None:
            jump_to(self.context.nodes.reference, finding.location_ras)

    def on_segment_editor(self, _checked: bool = False) -> None:
        """Open the user's segmentation in the Segment Editor, over the image that carries the masks."""
        nodes, segmentation = self.context.nodes, self.context.state.segmentation
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.util.getModuleWidget("SegmentEditor").editor
        editor.setSegmentationNode(segmentation)
        if nodes is not None:
            editor.setSourceVolumeNode(nodes.reference)

    def refresh(self) -> None:
        """Show the findings on the masks that were graded last."""
        report = self.context.report
        findings = tuple(mask_findings(report))
        if findings != self._listed:
            self._listed = findings
            self._list(findings)
        self.ui.masksSummaryLabel.text = self._summary(findings)
        self.ui.segmentEditorButton.enabled = self.context.state.segmentation is not None

    def _summary(self, findings: tuple[Finding, ...]) -> str:
        if self.context.report is None:
            return _("The masks are checked when the case is graded. Here is then what to look at.")
        if self.context.outdated:
            return _("Of the masks as they were when they were graded:")
        return _("Worth a look:") if findings else _("The checks found nothing wrong with the masks.")

    def _list(self, findings: tuple[Finding, ...]) -> None:
        layout = self.ui.findingsWidget.layout()
        while layout.count():
            layout.takeAt(0).widget().deleteLater()
        for number, finding in enumerate(findings):
            layout.addWidget(self._row(number, finding))
        self.ui.findingsWidget.visible = bool(findings)

    def _row(self, number: int, finding: Finding) -> Any:
        row = qt.QWidget()
        grid = qt.QHBoxLayout(row)
        grid.setContentsMargins(0, 0, 0, 0)
        text = qt.QLabel(finding.message)
        text.wordWrap = True
        text.objectName = f"findingLabel{number}"
        grid.addWidget(text, 1)
        if finding.location_ras is not None:
            show = qt.QPushButton(_("Show"))
            show.objectName = f"findingShowButton{number}"
            show.toolTip = _("Move the slices there.")
            show.connect("clicked(bool)", lambda _checked=False: self.on_show(finding))
            grid.addWidget(show)
        return row
