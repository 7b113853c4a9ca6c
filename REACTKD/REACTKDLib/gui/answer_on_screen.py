"""The displayed result: which one it is, and whether it still matches the current case."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.stored_answers import StoredAnswer
from REACTKDLib.core.student.ensemble import answer_hash
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.mask_check import MaskChecker
from REACTKDLib.scene.opened_case import OpenedCase
from REACTKDLib.scene.outputs import outputs_of
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.segments import SegmentChoice


class AnswerOnScreen:
    """The part of `gui.context.PanelContext` that concerns the result. Its attributes are set only there.

    stored: the displayed result of an earlier session, or None. checker: its findings, if any, are newer than the
    result.
    """

    reading: Reading
    controller: GradingController
    nodes: CaseNodes | None
    choice: SegmentChoice | None
    stored: StoredAnswer | None
    checker: MaskChecker
    state: PanelState

    # which answer

    @property
    def answer_hidden(self) -> bool:
        """True while a reader study hides the model's result for the current case.

        The panel decides this only here: report, result and outputs are then None, and nothing is graded.
        """
        return self.reading.hides_answer_of(self.nodes)

    @property
    def report(self) -> GradeReport | None:
        """The report of the current case, from the last grading or stored in the scene. None while it is hidden."""
        return None if self.answer_hidden else self.controller.report

    @property
    def findings(self) -> tuple[Finding, ...] | None:
        """The findings on masks and images: of the last check, else of the report; None without either."""
        if self.checker.findings is not None:
            return self.checker.findings
        return self.report.findings if self.report is not None else None

    @property
    def result(self) -> Any:
        """The regions and the voxel map behind the report, or None, for example after a scene was loaded."""
        return None if self.answer_hidden else self.controller.result

    @property
    def parameter_node(self) -> Any:
        """The node that references inputs, outputs and report of the current case, or None."""
        return self.controller.parameter_node

    @property
    def outputs(self) -> Any:
        """The output nodes of the current case, or None before they are written."""
        none = self.answer_hidden or self.parameter_node is None
        return None if none else outputs_of(self.parameter_node)

    @property
    def shows_stored(self) -> bool:
        """True while the displayed result is from an earlier session."""
        return self.stored is not None and self.report is self.stored.report

    # whether it still holds

    @property
    def outdated(self) -> bool:
        """True if the result was computed from other images or masks than the current ones."""
        return self.masks_outdated or self.images_outdated

    @property
    def masks_outdated(self) -> bool:
        """True if the result was computed from other inputs, or from masks that have changed since."""
        opened = self._compared
        return opened is not None and (opened.is_of_others(self.nodes, self.choice) or opened.masks_changed)

    @property
    def images_outdated(self) -> bool:
        """True if an image has changed or was moved since the result was computed."""
        return self._compared is not None and self._compared.images_changed

    @property
    def findings_outdated(self) -> bool:
        """True if `findings` are about other images or masks than the current ones."""
        if self.checker.findings is None:
            return self.outdated
        return self.nodes is not None and self.checker.inputs_changed(self.nodes, self.choice)

    @property
    def other_model(self) -> bool:
        """True if the displayed result is from a model other than the chosen one."""
        return self.report is not None and answer_hash(self.state.model) not in (None, self.report.model.sha256)

    @property
    def _compared(self) -> OpenedCase | None:
        """The inputs of the displayed result, or None if they cannot be compared with the current case."""
        return None if self.report is None or self.nodes is None else self.controller.opened
