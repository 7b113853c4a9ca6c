"""Checks of a case in the scene without grading it, for whoever corrects masks before the model is asked."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.hand_over import hand_over_case, masks_stamp
from REACTKDLib.scene.script_runner import RunState, Script, ScriptRunner
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.signal import Signal


class MaskChecker(ScriptRunner):
    """Checks. `check` returns at once; `poll` does the work: see `ScriptRunner` for states and errors.

    findings: of the last check, None before it and once another case or answer takes its place.
    Signals: checked(tuple of Finding, or None).
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher | None = None) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.findings: tuple[Finding, ...] | None = None
        self._masks: tuple = ()  # the stamp of those that the findings are about
        self.checked = Signal()

    def check(self, nodes: CaseNodes, choice: SegmentChoice) -> None:
        """Look for faults in the masks and images of a case; what runs already is left to end first."""
        if self.busy:
            self._next = lambda: self.check(nodes, choice)
            return
        self._begin(self._checking(nodes, choice), lambda: nodes.present)

    def masks_changed(self, nodes: CaseNodes, choice: SegmentChoice) -> bool:
        """True when there are findings, and they are about other masks than these. Costs a millisecond."""
        return self.findings is not None and masks_stamp(nodes, choice) != self._masks

    def forget(self) -> None:
        """Drop the findings: they are not of what is on the screen any more."""
        self._next = None
        if self.busy:
            self._finish(RunState.IDLE)
        self.forget_error()
        self._set(None)

    def close(self) -> None:
        """Stop everything. May be called twice."""
        self.checked.disconnect_all()
        super().close()

    def _checking(self, nodes: CaseNodes, choice: SegmentChoice) -> Script:
        self._set_progress(0.0, _("Reading the case"))
        stamp = masks_stamp(nodes, choice)
        images, masks = yield from hand_over_case(nodes, choice, self.dispatcher.client.scratch)
        findings = yield from self._ask(jobs.CheckArrays(images, masks, choice.task), (0.3, 1.0))
        self._masks = stamp
        self._set(findings)

    def _set(self, findings: tuple[Finding, ...] | None) -> None:
        if findings != self.findings or findings is not None:
            self.findings = findings
            self.checked(findings)
