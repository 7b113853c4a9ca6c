"""Grading a case of the scene without ever holding up whoever asks: a worker computes, a timer calls `poll`.

controller = GradingController(scene)
controller.result_changed.connect(show)
controller.grade(CaseNodes({Modality.CT: ct}, segmentation))    # returns at once
timer.timeout -> controller.poll()                              # every 30 ms
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any

import slicer

from REACTKDLib.core.case import Modality
from REACTKDLib.core.errors import Canceled, InputGone, ReactkdError, UsageError
from REACTKDLib.core.report import GradeReport
from REACTKDLib.core.worker import events, jobs
from REACTKDLib.core.worker.answers import Drawing, GradeAnswer
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.scene.case import NEUTRAL_ID, CaseNodes
from REACTKDLib.scene.hand_over import hand_over_images, hand_over_masks, images_stamp, masks_stamp
from REACTKDLib.scene.outputs import output_steps
from REACTKDLib.scene.parameter_node import (
    parameter_node_for,
    parameter_nodes,
    read_choice,
    read_inputs,
    read_report,
    write_inputs,
)
from REACTKDLib.scene.result import DrawnResult
from REACTKDLib.scene.segments import SegmentChoice, choose_segments
from REACTKDLib.scene.signal import Signal
from REACTKDLib.scene.state import GradingState
from REACTKDLib.scene.view_choice import ViewChoice

SLICE_S = 0.03  # of the caller's time in one poll; a slice of work takes about a third of it
_NOT_OPEN = "case-not-open"

Script = Generator[None, None, None]


class WorkerFault(ReactkdError):
    """A job failed. code: as the worker tells it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class WhatIfAnswer:
    """What the grade would be without some regions or modalities. Stands beside the result, written nowhere."""

    report: GradeReport
    mute: tuple[str, ...]
    leave_out: tuple[Modality, ...]


@dataclass
class _Opened:
    """The case on the screen. choice: the segments that were graded; asked: as told, None leaves it to recognition."""

    key: str
    nodes: CaseNodes
    choice: SegmentChoice
    asked: SegmentChoice | None
    case_id: str
    images: tuple
    masks: tuple


class GradingController:
    """Grades the case on the screen. Every method returns at once; `poll` does the work that must be done here.

    scene: the MRML scene. client: the worker, made when not given and closed with the controller then.
    Signals: state_changed(state), progress_changed(fraction, text), result_changed(report or None),
    outputs_changed(parameter node), what_if_changed(WhatIfAnswer or None).
    Attributes: model (bundle folder and device of the next grade), view (how the next answer is shown), state, progress
    (fraction, text), error (a sentence or None), error_code, report (the numbers on the screen: of the last grade, or
    as stored in a loaded scene), result (a `DrawnResult` once the regions are colored, else None), parameter_node,
    what_if_answer.
    """

    def __init__(self, scene: Any, client: WorkerClient | None = None, model: jobs.Model | None = None) -> None:
        self.scene = scene
        self.client = client or WorkerClient()
        self._own_client = client is None
        self.model = model or jobs.Model()
        self.view: ViewChoice | None = None
        self.state_changed = Signal()
        self.progress_changed = Signal()
        self.result_changed = Signal()
        self.outputs_changed = Signal()
        self.what_if_changed = Signal()
        self.state = GradingState.IDLE
        self.progress: tuple[float, str] = (0.0, "")
        self.error: str | None = None
        self.error_code: str | None = None
        self.report: GradeReport | None = None
        self.answer: GradeAnswer | None = None
        self.result: DrawnResult | None = None
        self.parameter_node: Any | None = None
        self.what_if_answer: WhatIfAnswer | None = None
        self._opened: _Opened | None = None
        self._script: Script | None = None
        self._watched: CaseNodes | None = None
        self._ticket: int | None = None
        self._span = (0.0, 1.0)
        self._ended: dict[int, events.Event] = {}
        self._count = 0
        self._writing = False
        self._next: tuple | None = None
        self._observed = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, self._on_scene_close),
            scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._on_import),
        ]

    @property
    def busy(self) -> bool:
        """True while work is under way or being stopped."""
        return self._script is not None

    def grade(self, nodes: CaseNodes, choice: SegmentChoice | None = None, case_id: str | None = None) -> None:
        """Grade the case of `nodes`. choice: its segments, None recognizes them. case_id: for the report.

        While other work runs, it is taken up after that. Faults end in the state FAILED, never as an exception.
        """
        self._begin(nodes, lambda: self._grading(nodes, choice, case_id or NEUTRAL_ID))

    def regrade(self) -> None:
        """Grade the case on the screen with its masks as drawn now; its images are not encoded again.

        Raises: UsageError when no case is on the screen.
        """
        opened = self._current()
        self._begin(opened.nodes, lambda: self._regrading(opened))

    def what_if(self, mute: Collection[str] = (), leave_out: Collection[Modality] = ()) -> None:
        """Ask what the grade would be without some regions or modalities; without either, forget the answer.

        Raises: UsageError when no case is on the screen.
        """
        opened = self._current()
        if not mute and not leave_out:
            self._set_what_if(None)
            return
        self._begin(opened.nodes, lambda: self._asking(opened, tuple(mute), tuple(Modality(m) for m in leave_out)))

    def read_ahead(self, files: jobs.CaseFiles) -> None:
        """Read and encode the next case in the worker while it has nothing else to do; faults are kept for later."""
        self.client.submit(jobs.OpenFiles(files, self.model), background=True)

    def warm_up(self) -> None:
        """Load libraries and the model in the worker, so that the first grade is quick."""
        self.client.submit(jobs.WarmUp(self.model), background=True)

    def masks_changed(self) -> bool:
        """True when the masks of the case on the screen are not those that were graded last. Costs nothing."""
        opened = self._opened
        if opened is None or not self._all_there(opened.nodes):
            return False
        return masks_stamp(opened.nodes, opened.choice) != opened.masks

    def can_regrade(self, nodes: CaseNodes) -> bool:
        """True when the case of `nodes` is the one on the screen, so that `regrade` does for it."""
        opened = self._opened
        return opened is not None and opened.nodes == nodes and self._all_there(nodes)

    def cancel(self) -> None:
        """Stop what runs, within a second; the scene is then as it was."""
        self._next = None
        if self._script is None or self._writing:  # what is half written is brought to its end in a moment
            return
        if self._ticket is not None:
            self.client.cancel(self._ticket)
            self._set_state(GradingState.CANCELING)
        else:
            self._finish(GradingState.IDLE)

    def poll(self) -> None:
        """Take what the worker has sent, and work for up to about 30 ms; call it from a timer."""
        for event in self.client.poll():
            self._take(event)
        until = time.perf_counter() + SLICE_S
        while self._script is not None and time.perf_counter() < until:
            if self._ticket is not None and self._ticket not in self._ended and self._all_there(self._watched):
                return
            self._step()
        if self._script is None and self._next is not None:
            begin, self._next = self._next, None
            self._begin(*begin)

    def restore(self, parameter_node: Any | None = None) -> bool:
        """Show the report that is stored in the scene, without grading; True when there is one.

        parameter_node: which, if there are several; by default the last.
        """
        nodes = [parameter_node] if parameter_node is not None else parameter_nodes(self.scene)
        for node in reversed(nodes):
            report = read_report(node)
            inputs, choice = read_inputs(node), read_choice(node)
            if report is None or inputs is None or choice is None:
                continue
            self.parameter_node = node
            self._opened = _Opened(
                "", inputs, choice, choice, report.case, images_stamp(inputs), masks_stamp(inputs, choice)
            )
            self._set_report(report)
            return True
        return False

    def leave(self) -> None:
        """Let go of the case on the screen: its work ends and its answer is no longer told; the scene stays."""
        self._next = None
        self._finish(GradingState.IDLE)
        self._opened = self.answer = self.result = self.parameter_node = self.error = self.error_code = None
        self._set_what_if(None)
        if self.report is not None:
            self._set_report(None)

    def close(self) -> None:
        """Stop everything and let go of the scene; results that were written stay. May be called twice."""
        self._next = None
        if self._script is not None:
            self._script.close()
            self._script = None
        for tag in self._observed:
            self.scene.RemoveObserver(tag)
        self._observed = []
        for signal in (self.state_changed, self.progress_changed, self.result_changed):
            signal.disconnect_all()
        for signal in (self.outputs_changed, self.what_if_changed):
            signal.disconnect_all()
        if self._own_client:
            self.client.close()

    # The scripts: each yields where the caller may have its time back.

    def _grading(self, nodes: CaseNodes, asked: SegmentChoice | None, case_id: str) -> Script:
        opened = yield from self._opening(nodes, asked, case_id)
        answer = yield from self._ask(self._job, (0.2, 0.85))
        yield from self._showing(opened, answer)

    def _opening(self, nodes: CaseNodes, asked: SegmentChoice | None, case_id: str) -> Generator[None, None, _Opened]:
        """Hand the case over, and leave the job that grades it in `_job`."""
        self._tell(0.0, "Reading the images")
        choice = asked or choose_segments(nodes.segmentation)
        images, masks = images_stamp(nodes), masks_stamp(nodes, choice)
        image_files = yield from hand_over_images(nodes, self.client.scratch)
        self._tell(0.1, "Reading the masks")
        mask_files = yield from hand_over_masks(nodes, choice, self.client.scratch)
        self._count += 1
        key = f"case-{self._count}"
        self._job = jobs.GradeArrays(key, image_files, mask_files, case_id, self.model)
        return _Opened(key, nodes, choice, asked, case_id, images, masks)

    def _regrading(self, opened: _Opened) -> Script:
        if not opened.key or images_stamp(opened.nodes) != opened.images:
            yield from self._grading(opened.nodes, opened.asked, opened.case_id)
            return
        choice = opened.asked or choose_segments(opened.nodes.segmentation)
        masks = masks_stamp(opened.nodes, choice)
        files = yield from hand_over_masks(opened.nodes, choice, self.client.scratch)
        try:
            answer = yield from self._ask(jobs.Regrade(opened.key, files), (0.2, 0.85))
        except WorkerFault as fault:
            if fault.code != _NOT_OPEN:
                raise
            yield from self._grading(opened.nodes, opened.asked, opened.case_id)
            return
        now = _Opened(opened.key, opened.nodes, choice, opened.asked, opened.case_id, opened.images, masks)
        yield from self._showing(now, answer)

    def _showing(self, opened: _Opened, answer: GradeAnswer) -> Script:
        """Show the numbers, then what is drawn; the scene changes at the end, in a few steps that no cancel parts."""
        self._opened, self.answer, self.result = opened, answer, None
        self._set_what_if(None)
        self._set_report(answer.report)
        drawing: Drawing = yield from self._ask(jobs.Draw(opened.key), (0.85, 0.95))
        result = DrawnResult(answer.report, answer.regions, drawing)
        self._tell(0.95, "Coloring the regions")
        yield
        result.voxel_map, result.regions  # noqa: B018 - made here, apart from the step that needs them
        yield
        self.parameter_node = parameter_node_for(self.scene, opened.nodes)  # another case may have been graded before
        write_inputs(self.parameter_node, opened.nodes, opened.choice, opened.case_id)
        reference = opened.nodes.reference
        self._writing = True
        yield from output_steps(
            self.scene, self.parameter_node, result, reference, f"REACTKD {reference.GetName()}", self.view
        )
        self.result = result
        self.outputs_changed.emit(self.parameter_node)

    def _asking(self, opened: _Opened, mute: tuple[str, ...], leave_out: tuple[Modality, ...]) -> Script:
        names = [modality.value for modality in leave_out]
        try:
            answer = yield from self._ask(jobs.WhatIf(opened.key, list(mute), names), (0.0, 1.0))
        except WorkerFault as fault:
            if fault.code != _NOT_OPEN:
                raise
            opened = yield from self._opening(opened.nodes, opened.choice, opened.case_id)
            yield from self._ask(self._job, (0.2, 0.9))
            self._opened = opened
            answer = yield from self._ask(jobs.WhatIf(opened.key, list(mute), names), (0.9, 1.0))
        self._set_what_if(WhatIfAnswer(answer.report, mute, leave_out))

    def _ask(self, job: jobs.Job, span: tuple[float, float]) -> Generator[None, None, Any]:
        """Have the worker do a job; its progress fills `span`. Raises: WorkerFault, Canceled."""
        self._span = span
        self._ticket = self.client.submit(job)
        while self._ticket not in self._ended:
            yield
        event, self._ticket = self._ended.pop(self._ticket), None
        if isinstance(event, events.Failed):
            raise WorkerFault(event.code, event.message)
        if isinstance(event, events.Canceled):
            raise Canceled("The grading was stopped.")
        return event.result

    # The machine behind them.

    def _begin(self, nodes: CaseNodes, make: Any) -> None:
        if self._script is not None:
            self._next = nodes, make
            return
        self._watched = nodes
        self._script = make()
        self.error = self.error_code = None
        self._tell(0.0, "")
        self._set_state(GradingState.RUNNING)

    def _step(self) -> None:
        try:
            if not self._all_there(self._watched):
                raise InputGone("An input was removed while the case was graded; choose the inputs again and grade.")
            next(self._script)
        except StopIteration:
            self._finish(GradingState.IDLE)
        except Canceled:
            self._finish(GradingState.IDLE)
        except ReactkdError as error:
            self._fail(error.code, str(error))
        except Exception as error:
            name = type(error).__name__
            self._fail("unexpected", f"An unexpected fault stopped the grading ({name}); grade again, and report it.")

    def _fail(self, code: str, message: str) -> None:
        self.error_code, self.error = code, message
        self._finish(GradingState.FAILED)

    def _finish(self, state: GradingState) -> None:
        script, self._script, self._writing = self._script, None, False
        if script is not None:
            script.close()
        if self._ticket is not None:
            self.client.cancel(self._ticket)
            self._ticket = None
        self._watched = None
        self._set_state(state)

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Progress):
            if event.ticket == self._ticket and self.state is GradingState.RUNNING:
                low, high = self._span
                self._tell(low + (high - low) * event.fraction, event.text)
        elif not isinstance(event, events.WorkerDied) and event.ticket == self._ticket:
            self._ended[event.ticket] = event

    def _current(self) -> _Opened:
        if self._opened is None or not self._all_there(self._opened.nodes):
            raise UsageError("No case is graded yet; choose the inputs and grade it first.")
        return self._opened

    def _all_there(self, nodes: CaseNodes | None) -> bool:
        if nodes is None:
            return True
        return all(self.scene.IsNodePresent(node) for node in (*nodes.volumes.values(), nodes.segmentation))

    def _tell(self, fraction: float, text: str) -> None:
        self.progress = fraction, text
        self.progress_changed.emit(fraction, text)

    def _set_state(self, state: GradingState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)

    def _set_report(self, report: GradeReport | None) -> None:
        self.report = report
        self.result_changed.emit(report)

    def _set_what_if(self, answer: WhatIfAnswer | None) -> None:
        if answer is not self.what_if_answer:
            self.what_if_answer = answer
            self.what_if_changed.emit(answer)

    def _on_scene_close(self, *_: Any) -> None:
        self.leave()

    def _on_import(self, *_: Any) -> None:
        if self._script is None and self.report is None:
            self.restore()
