"""Grades a case of the scene without blocking: a worker computes, a timer calls `poll`."""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass, replace
from typing import Any

import slicer

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.student.ensemble import task_of
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.answers import GradeAnswer
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.scene.case import NEUTRAL_ID, CaseNodes
from REACTKDLib.scene.graded_inputs import changes_since, content_of, recorded_content, with_masks, write_content
from REACTKDLib.scene.hand_over import hand_over_case, hand_over_masks, images_stamp, inputs_stamp, masks_stamp, watched
from REACTKDLib.scene.opened_case import OpenedCase
from REACTKDLib.scene.outputs import output_steps, remove_lost_results, remove_outputs, restore_outline, watched_outputs
from REACTKDLib.scene.own_results import refuse_results
from REACTKDLib.scene.parameter_node import (
    parameter_node_for,
    parameter_nodes,
    read_choice,
    read_inputs,
    read_report,
    write_inputs,
)
from REACTKDLib.scene.region_segmentation import label_images
from REACTKDLib.scene.result import DrawnResult
from REACTKDLib.scene.script_runner import RunState, Script, ScriptRunner, WorkerFault, signaled
from REACTKDLib.scene.segments import SegmentChoice, choose_segments
from REACTKDLib.scene.signal import Signal
from REACTKDLib.scene.view_choice import ViewChoice

CHANGED = _("Masks or images have changed since this grade; grade again before you leave something out.")
_NOT_OPEN = "case-not-open"
_LOST = _NOT_OPEN, "worker-died"


@dataclass(frozen=True)
class WhatIfAnswer:
    """The grade without some regions or modalities. Shown beside the result, stored nowhere."""

    report: GradeReport
    mute: tuple[str, ...]
    leave_out: tuple[Modality, ...]


class GradingController(ScriptRunner):
    """Grades the current case. Every method returns at once; `poll` does the work in this process.

    Example:
        >>> controller = GradingController(scene)
        >>> controller.grade(CaseNodes({Modality.CT: ct}, segmentation))  # then `controller.poll()` every 30 ms

    scene: the MRML scene. dispatcher: the worker, created by default, and then closed with the controller. Signals:
    those of `ScriptRunner`, result_changed(report or None), regions_shown() and surfaces_shown() (of a result whose
    rest follows), outputs_changed(parameter node), what_if_changed(WhatIfAnswer or None). Attributes: those of
    `ScriptRunner`, model (bundle folder and device of the next grade), view (how the next answer is shown), report
    (the numbers on the screen: of the last grade, or as stored in a loaded scene), answer (of the worker), opened
    (what the report was computed from, an `OpenedCase`, or None), result (a `DrawnResult` once the regions are
    colored, else None), parameter_node, what_if_answer.
    """

    def __init__(self, scene: Any, dispatcher: JobDispatcher | None = None, model: jobs.Model | None = None) -> None:
        super().__init__(dispatcher)
        self.scene = scene
        self.model = model or jobs.Model()
        self.view: ViewChoice | None = None
        self.result_changed = Signal()
        self.regions_shown, self.surfaces_shown = Signal(), Signal()
        self.outputs_changed = Signal()
        self.what_if_changed = Signal()
        self.report: GradeReport | None = None
        self.answer: GradeAnswer | None = None
        self.result: DrawnResult | None = None
        self.parameter_node: Any | None = None
        self.what_if_answer: WhatIfAnswer | None = None
        self.opened: OpenedCase | None = None
        self._count = 0
        self._warmed: jobs.Model | None = None
        self._observed = [
            scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, lambda *_: self.leave()),
            scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, self._on_import),
        ]

    def grade(self, nodes: CaseNodes, choice: SegmentChoice | None = None, case_id: str | None = None) -> None:
        """Grade the case of `nodes`. choice: its segments, None recognizes them. case_id: for the report.

        If other work is running, it starts after that. Errors lead to the state FAILED, never to an exception.
        """
        if self.busy:
            self._next = lambda: self.grade(nodes, choice, case_id)
            return
        script, task = self._grading(nodes, choice, case_id or NEUTRAL_ID, self.model), task_of(self.model.bundle)
        self._begin(script, lambda: nodes.present, lambda: inputs_stamp(nodes, choice, task))

    def regrade(self) -> None:
        """Grade the current case again with its masks as drawn now; its images are not encoded again.

        Raises: UsageError when no case is on the screen.
        """
        if self.busy:
            self._next = self.regrade
            return
        opened = self._current()
        self._begin(self._regrading(opened), lambda: opened.nodes.present, opened.inputs_stamp)

    def what_if(self, mute: Collection[str] = (), leave_out: Collection[Modality] = ()) -> None:
        """Compute the grade without some regions or modalities; without either, drop the last such result.

        If the case is being graded again, whose regions may differ, nothing is computed.

        Raises: UsageError when no case is on the screen.
        """
        if self.busy:
            asked_of = self.report
            self._next = lambda: self.what_if(mute, leave_out) if self.report is asked_of else None
            return
        if not mute and not leave_out:
            self._set_what_if(None)
            return
        opened = self._current()
        script = self._asking(opened, tuple(mute), tuple(Modality(m) for m in leave_out))
        self._begin(script, lambda: opened.nodes.present, opened.inputs_stamp)

    def read_ahead(self, files: Job) -> None:
        """Prefetch and encode the next case while the worker is idle; errors are reported when the case is opened."""
        self.dispatcher.submit(jobs.OpenFiles(files, self.model), lambda _: None, background=True)

    def warm_up(self) -> None:
        """Load libraries and the model in the worker, so that the first grade is fast. Once for each model."""
        if self._warmed != self.model:
            self._warmed = self.model
            self.dispatcher.submit(jobs.WarmUp(self.model), lambda _: None, background=True)

    def masks_changed(self) -> bool:
        """Return True if the masks of the current case differ from those graded last. Takes a millisecond."""
        return self.opened is not None and self.opened.masks_changed

    def restore(self, parameter_node: Any | None = None) -> bool:
        """Show the report that is stored in the scene, without grading; return True if there is one.

        parameter_node: which, if there are several; by default the last.
        """
        nodes = [parameter_node] if parameter_node is not None else parameter_nodes(self.scene)
        for node in reversed(nodes):
            report, inputs, choice = read_report(node), read_inputs(node), read_choice(node)
            if None in (report, inputs, choice):
                continue
            content = recorded_content(node)
            opened = OpenedCase.stored(report, inputs, choice, content)
            opened = opened.with_changes(*changes_since(content, opened.nodes, opened.choice))
            restore_outline(node)
            self.show_stored(report, opened, node)
            return True
        return False

    def show_stored(self, report: GradeReport, opened: OpenedCase, parameter_node: Any | None = None) -> None:
        """Show an earlier result without drawing it. opened: the known state of its case."""
        self.opened = opened
        self.answer = self.result = None
        self.parameter_node = parameter_node
        self._set_report(report)

    def leave(self) -> None:
        """Release the current case: its work ends and its result is no longer signaled; the scene is unchanged."""
        self._next = None
        self._finish(RunState.IDLE)
        self.forget_error()
        self.opened = self.answer = self.result = self.parameter_node = None
        self._set_what_if(None)
        if self.report is not None:
            self._set_report(None)

    def close(self) -> None:
        """Stop everything and release the scene; written results stay. May be called twice."""
        shown = self.regions_shown, self.surfaces_shown, self.outputs_changed
        for signal in (self.result_changed, *shown, self.what_if_changed):
            signal.disconnect_all()
        super().close()
        for tag in self._observed:
            self.scene.RemoveObserver(tag)
        self._observed = []

    def _grading(
        self, nodes: CaseNodes, asked: SegmentChoice | None, case_id: str, model: jobs.Model, attempts: int = 2
    ) -> Script:
        for left in reversed(range(attempts)):
            opened, answer = yield from self._opening(nodes, asked, case_id, model)
            try:
                yield from self._showing(opened, answer)
                return
            except WorkerFault as fault:  # the worker ended after the numbers, and the case with it
                if not left or fault.code not in _LOST:
                    raise

    def _opening(
        self, nodes: CaseNodes, asked: SegmentChoice | None, case_id: str, model: jobs.Model
    ) -> Generator[None, None, tuple[OpenedCase, GradeAnswer]]:
        """Hand the case over and grade it; it is then open in the worker."""
        self._set_progress(0.0, _("Reading the case"))
        refuse_results(self.scene, nodes)
        choice = asked or choose_segments(nodes.segmentation, task=task_of(model.bundle))
        steps = hand_over_case(nodes, choice, self.dispatcher.client.scratch)
        read = yield from watched(steps, lambda: images_stamp(nodes), lambda: masks_stamp(nodes, choice))
        (images, masks), stamps = read
        content = content_of(nodes, images, masks)
        key = self._new_key()
        answer = yield from self._ask(jobs.GradeArrays(key, images, masks, case_id, model), (0.2, 0.85))
        return OpenedCase(key, nodes, choice, asked, case_id, model, *stamps, content), answer

    def _regrading(self, opened: OpenedCase) -> Script:
        whole = opened.nodes, opened.asked, opened.case_id, opened.model or self.model
        if opened.key is None or opened.images_changed:
            yield from self._grading(*whole)
            return
        self._set_progress(0.0, _("Reading the masks"))
        choice = opened.choice_now()
        steps = hand_over_masks(opened.nodes, choice, self.dispatcher.client.scratch)
        files, [stamp] = yield from watched(steps, lambda: masks_stamp(opened.nodes, choice))
        content = with_masks(opened.content, files)
        key = self._new_key()
        try:
            answer = yield from self._ask(jobs.Regrade(opened.key, files, key), (0.2, 0.85))
        except WorkerFault as fault:
            if fault.code != _NOT_OPEN:
                raise
            yield from self._grading(*whole)
            return
        try:
            again = replace(opened, key=key, choice=choice, masks=stamp, content=content)
            yield from self._showing(again, answer)
        except WorkerFault as fault:
            if fault.code not in _LOST:
                raise
            yield from self._grading(*whole, attempts=1)  # this was the first

    def _showing(self, opened: OpenedCase, answer: GradeAnswer) -> Script:
        """Show the numbers, then color the scene; after a cancel in between, the former result is shown again."""
        former = self.opened, self.answer, self.result, self.report
        self.opened, self.answer, self.result = opened, answer, None
        self._set_what_if(None)
        self._set_report(answer.report)
        try:
            self._set_progress(0.85, _("Coloring the regions"))
            yield from answer.regions_steps()
            yield
            result = DrawnResult(answer.report, answer.regions, label_images(answer.regions))
            yield
        except BaseException:
            if self.answer is answer:  # unless the case was left meanwhile
                self.opened, self.answer, self.result, report = former
                self._set_report(report)
            raise
        yield from self._writing(opened, result)
        self.result = result
        self.outputs_changed(self.parameter_node)
        yield  # showing the end is a separate step

    def _writing(self, opened: OpenedCase, result: DrawnResult) -> Script:
        """Write the outputs in a few steps that cannot be canceled; after an error, incomplete outputs are removed.

        The worker computes surfaces and the voxel map meanwhile, for some tenths of a second. Slices show the colored
        regions before.
        """
        remove_lost_results(self.scene, opened.nodes.reference)
        known = parameter_nodes(self.scene)
        self.parameter_node = node = parameter_node_for(self.scene, opened.nodes)
        write_inputs(node, opened.nodes, opened.choice, opened.case_id)
        self._unbroken = True
        name = f"REACTKD {opened.nodes.reference.GetName()}"
        try:
            write_content(node, opened.content)
            surfaces = result.surface_steps(self._ask(jobs.DrawSurfaces(opened.key), (0.85, 0.9)))
            voxel_map = result.voxel_map_steps(self._ask(jobs.Draw(opened.key), (0.9, 1.0)))
            reference = opened.nodes.reference
            waits = signaled(surfaces, self.regions_shown), signaled(voxel_map, self.surfaces_shown)
            steps = output_steps(self.scene, node, result, reference, name, lambda: self.view, *waits)
            yield from watched_outputs(node, steps)
            yield  # updating the panel is a separate step
        except BaseException:
            remove_outputs(self.scene, node)
            if node not in known:
                self.scene.RemoveNode(node)
                self.parameter_node = None
            self.opened = self.answer = None
            self._set_report(None)
            raise

    def _asking(self, opened: OpenedCase, mute: tuple[str, ...], leave_out: tuple[Modality, ...]) -> Script:
        def job() -> jobs.WhatIf:
            return jobs.WhatIf(opened.key, list(mute), list(leave_out))

        try:
            if opened.key is None:
                raise WorkerFault(_NOT_OPEN, "")
            answer = yield from self._ask(job(), (0.0, 1.0))
        except WorkerFault as fault:
            if fault.code != _NOT_OPEN:
                raise
            opened = self.opened = yield from self._reopening(opened)
            answer = yield from self._ask(job(), (0.85, 1.0))
        self._set_what_if(WhatIfAnswer(answer.report, mute, leave_out))

    def _reopening(self, opened: OpenedCase) -> Generator[None, None, OpenedCase]:
        """Hand over a case that is not open in the worker. Raises: UsageError if it has changed since it was graded."""
        if opened.masks_changed or opened.images_changed:
            self._set_what_if(None)
            raise UsageError(CHANGED)
        nodes, model = opened.nodes, opened.model or self.model
        stamps = images_stamp(nodes), masks_stamp(nodes, opened.choice)
        again, _answer = yield from self._opening(nodes, opened.choice, opened.case_id, model)
        if (again.images, again.masks) != stamps:  # changed while it was read
            raise UsageError(CHANGED)
        return replace(again, asked=opened.asked)

    def _current(self) -> OpenedCase:
        if self.opened is None or not self.opened.nodes.present:
            raise UsageError(_("No case is graded yet; choose the inputs and grade it first."))
        return self.opened

    def _new_key(self) -> str:
        """Return a new key for a result in the worker and for its case."""
        self._count += 1
        return f"case-{id(self)}-{self._count}"

    def _set_report(self, report: GradeReport | None) -> None:
        self.report = report
        self.result_changed(report)

    def _set_what_if(self, answer: WhatIfAnswer | None) -> None:
        if answer is not self.what_if_answer:
            self.what_if_answer = answer
            self.what_if_changed(answer)

    def _on_import(self, *_: Any) -> None:
        if not self.busy and self.report is None:
            self.restore()
