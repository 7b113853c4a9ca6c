"""The answer on the screen: which one it is, and whether it is still of the case at hand as that is now."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.review.stored_answers import StoredAnswer
from REACTKDLib.core.student.ensemble import answer_hash
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.opened_case import OpenedCase
from REACTKDLib.scene.outputs import outputs_of
from REACTKDLib.scene.panel_state import PanelState
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.segments import SegmentChoice


class AnswerOnScreen:
    """The part of `gui.context.PanelContext` that is about the answer. It is read here, and changed there alone.

    stored: the answer of an earlier sitting that is on the screen, or None.
    """

    reading: Reading
    controller: GradingController
    nodes: CaseNodes | None
    choice: SegmentChoice | None
    stored: StoredAnswer | None
    state: PanelState
    busy: bool

    # which answer

    @property
    def answer_hidden(self) -> bool:
        """True while a reader study keeps the model's answer to the case at hand from the reader.

        The one place that says so in the panel: report, result and outputs are None then, and nothing is graded.
        """
        return self.reading.hides_answer_of(self.nodes)

    @property
    def report(self) -> GradeReport | None:
        """The answer of the case at hand: of the last grading, or as stored in the scene. None while it is hidden."""
        return None if self.answer_hidden else self.controller.report

    @property
    def result(self) -> Any:
        """The regions and the map behind the report, or None, as after a scene was loaded."""
        return None if self.answer_hidden else self.controller.result

    @property
    def parameter_node(self) -> Any:
        """The node that leads to inputs, outputs and report of the case at hand, or None."""
        return self.controller.parameter_node

    @property
    def outputs(self) -> Any:
        """The output nodes of the case at hand, or None before they are written."""
        none = self.answer_hidden or self.parameter_node is None
        return None if none else outputs_of(self.parameter_node)

    @property
    def shows_stored(self) -> bool:
        """True while the answer on the screen is one of an earlier sitting."""
        return self.stored is not None and self.report is self.stored.report

    # whether it still holds

    @property
    def outdated(self) -> bool:
        """True when the answer belongs to other images or other masks than those at hand."""
        return self.masks_outdated or self.images_outdated

    @property
    def masks_outdated(self) -> bool:
        """True when the answer belongs to other inputs, or to other masks than those at hand."""
        opened = self._compared
        return opened is not None and (opened.is_of_others(self.nodes, self.choice) or opened.masks_changed)

    @property
    def images_outdated(self) -> bool:
        """True when an image of the answer is not as it was then, or lies elsewhere."""
        return self._compared is not None and self._compared.images_changed

    @property
    def other_model(self) -> bool:
        """True when the answer on the screen is of another model than the one that is chosen now."""
        return self.report is not None and answer_hash(self.state.model) not in (None, self.report.model.sha256)

    @property
    def _compared(self) -> OpenedCase | None:
        """What the answer on the screen was computed from, where that can be compared with the case at hand."""
        none = self.report is None or self.nodes is None or self.busy
        return None if none else self.controller.opened
