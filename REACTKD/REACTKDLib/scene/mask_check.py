"""Checks a case in the scene without grading it, for correcting masks beforehand."""

from __future__ import annotations

from typing import Any

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.graded_inputs import masks_content
from REACTKDLib.scene.hand_over import hand_over_case, images_stamp, inputs_stamp, masks_stamp, watched
from REACTKDLib.scene.known_masks import KnownMasks
from REACTKDLib.scene.script_runner import RunState, Script, ScriptRunner
from REACTKDLib.scene.segments import SegmentChoice
from REACTKDLib.scene.signal import Signal


class MaskChecker(ScriptRunner):
    """Runs the checks. `check` returns at once; `poll` does the work: see `ScriptRunner` for states and errors.

    findings: of the last check; None before it, and after another case or result has replaced it.
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher | None = None) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.findings: tuple[Finding, ...] | None = None
        self._masks: KnownMasks | None = None  # those of the findings
        self._images: tuple = ()  # their stamp
        self.checked = Signal()

    def check(self, nodes: CaseNodes, choice: SegmentChoice) -> None:
        """Check the masks and images of a case, after any running check."""
        if self.busy:
            self._next = lambda: self.check(nodes, choice)
            return
        script = self._checking(nodes, choice)
        self._begin(script, lambda: nodes.present, lambda: inputs_stamp(nodes, choice, choice.task))

    def inputs_changed(self, nodes: CaseNodes, choice: SegmentChoice) -> bool:
        """Return True if there are findings on other images or masks than these: see `KnownMasks.differ_from`."""
        if self.findings is None:
            return False
        return self._masks is None or images_stamp(nodes) != self._images or self._masks.differ_from(nodes, choice)

    def forget(self) -> None:
        """Drop the findings, which no longer apply to the current case."""
        self._next = None
        if self.busy:
            self._finish(RunState.IDLE)
        self.forget_error()
        self._masks = None  # it holds their images
        self._set(None)

    def close(self) -> None:
        """Stop everything. May be called twice."""
        self.checked.disconnect_all()
        super().close()

    def _checking(self, nodes: CaseNodes, choice: SegmentChoice) -> Script:
        self._set_progress(0.0, _("Reading the case"))
        steps = hand_over_case(nodes, choice, self.dispatcher.client.scratch)
        read = yield from watched(steps, lambda: images_stamp(nodes), lambda: masks_stamp(nodes, choice))
        (images, masks), (images_then, masks_then) = read
        findings = yield from self._ask(jobs.CheckArrays(images, masks, choice.task), (0.3, 1.0))
        self._masks = KnownMasks(choice, masks_then, masks_content(masks))
        self._images = images_then
        self._set(findings)

    def _set(self, findings: tuple[Finding, ...] | None) -> None:
        if findings != self.findings or findings is not None:
            self.findings = findings
            self.checked(findings)
