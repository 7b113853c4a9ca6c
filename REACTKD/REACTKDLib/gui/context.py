"""The state that the panel's sections share: the current case, its result, running work, and signals of changes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.cases.case_list import ListedCase
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.review.stored_answers import StoredAnswer
from REACTKDLib.core.student.bundle import METADATA
from REACTKDLib.core.student.ensemble import ENSEMBLE, task_of
from REACTKDLib.core.task import Task
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.core.worker.jobs import Model
from REACTKDLib.core.writing.stamps import stamp_of
from REACTKDLib.gui.answer_on_screen import AnswerOnScreen
from REACTKDLib.gui.packages import ensure_packages, missing_packages
from REACTKDLib.gui.views import show_case
from REACTKDLib.gui.words import plain
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.hand_over import refuse_bent_space
from REACTKDLib.scene.mask_check import MaskChecker
from REACTKDLib.scene.opened_case import OpenedCase
from REACTKDLib.scene.other_cases import hide_other_cases, show_case_again
from REACTKDLib.scene.outputs import follow_reference, is_whole
from REACTKDLib.scene.own_results import refuse_results
from REACTKDLib.scene.panel_state import PanelState, chosen_volumes
from REACTKDLib.scene.parameter_node import find_parameter_node
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.segments import SegmentChoice, choose_segments
from REACTKDLib.scene.signal import Signal
from REACTKDLib.scene.translation import translated
from REACTKDLib.scene.view_choice import ViewChoice, show_as

HIDDEN = _("In this study the result is hidden: choose your grade and confirm it first.")


class PanelContext(AnswerOnScreen):
    """Shared state of the panel, and the operations that affect several sections.

    resources: the module's folder Resources. reading: the list of cases and the position in it; see `scene.reading`.
    dispatcher: of the worker's jobs. controller: see `scene.grading`. checker: see `scene.mask_check`. nodes: the input
    nodes (`CaseNodes`) of the current case, or None while they make no case; `problem` then says why. choice: its liver
    and tumor segments, or None. masks_on_show: the user's masks are shown beside the result, to inspect the position of
    a finding in them. message: an error outside the grading, one sentence (the grading's own is `controller.error`).
    proposal_on_show: a copy of the masks with a proposed fix is shown in their place. legend_aside: the legend of the
    result is hidden meanwhile, since it would be mistaken for theirs. suspended: the scene or the panel is closing;
    nothing is shown, and nothing may be added to the scene.

    Signals: inputs_changed (another case, or other inputs of it), state_changed (state or message; also when a result
    is in the scene), progress_changed (of the work), result_changed (a new result, or none), pictures_wanted (draw
    pending parts of the views now), changed (anything else that is displayed).
    """

    def __init__(self, resources: Path, reading: Reading) -> None:
        self.resources, self.reading = resources, reading
        self.inputs_changed, self.state_changed, self.result_changed = Signal(), Signal(), Signal()
        self.changed, self.progress_changed, self.pictures_wanted = Signal(), Signal(), Signal()
        self.nodes: CaseNodes | None = None
        self.choice: SegmentChoice | None = None
        self.problem = ""
        self.message = ""
        self.stored: StoredAnswer | None = None
        self.masks_on_show = self.proposal_on_show = self.legend_aside = False
        self.suspended = False
        self._task: tuple | None = None
        self.dispatcher = JobDispatcher()
        self.reading.loader.task = lambda: self.task
        self.controller = GradingController(slicer.mrmlScene, self.dispatcher)
        self.checker = MaskChecker(slicer.mrmlScene, self.dispatcher)
        self.controller.state_changed.connect(lambda _state: self.state_changed())
        self.controller.progress_changed.connect(lambda _fraction, _text: self.progress_changed())
        self.controller.result_changed.connect(lambda _report: self.result_changed())
        self.controller.what_if_changed.connect(lambda _answer: self.changed())
        self._left = ""  # `leaving` when it was last signaled
        self.reading.changed.connect(self._on_reading)

    # current state

    @property
    def scene(self) -> Any:
        """The scene of the application."""
        return slicer.mrmlScene

    @property
    def state(self) -> PanelState:
        """The choices in the scene, created if there are none. Not to be used while the scene closes."""
        return PanelState.of(self.scene)

    @property
    def task(self) -> Task:
        """The task of the chosen model; read again only if its description was written again."""
        key = self.state.model, _written_at(self.state.model)
        if self._task is None or self._task[0] != key:
            self._task = key, task_of(key[0])
        return self._task[1]

    @property
    def busy(self) -> bool:
        """True while work is under way or being stopped."""
        return self.controller.busy

    @property
    def leaving(self) -> str:
        """What a step through the list does before another case replaces the current one, as "Opening case 2..."; empty
        without such a step.

        Nothing is begun with the current case meanwhile: it would be lost with its nodes.
        """
        reading = self.reading
        doing = translated(reading.loader.doing) if reading.locked and reading.question is None else ""
        return _("{doing}...").format(doing=doing) if doing else ""

    def _on_reading(self) -> None:
        if self.leaving != self._left:
            self._left = self.leaving
            self.changed()

    @property
    def listed_case(self) -> ListedCase | None:
        """The current case if it is from the list, or None: its name and the reader's marks do not apply to other
        images.
        """
        listed = self.reading.loader.loaded
        return self.reading.current if listed is not None and listed.nodes == self.nodes else None

    @property
    def marked_case(self) -> ListedCase | None:
        """The case of the list to which the reader's marks apply; None while other images are chosen.

        This includes a case without masks, one that cannot be opened, and one with an image removed.
        """
        listed, chosen = self.reading.loader.loaded, self.nodes
        if listed is not None and chosen is not None and chosen.reference not in listed.nodes.volumes.values():
            return None
        return self.reading.current

    # the case at hand

    def read_inputs(self) -> None:
        """Read the choices in the scene, check whether they make a case, and show its existing result."""
        state, before = self.state, self.nodes
        self.nodes = self.choice = None
        self.problem = ""
        try:
            nodes = CaseNodes(chosen_volumes(state.volumes), state.segmentation)
            refuse_results(self.scene, nodes)
            refuse_bent_space(nodes)
            self.choice = self._chosen_segments()
            self.nodes = nodes
        except ReactkdError as error:
            self.problem = plain(error, self.task)
        if self.listed_case is not None:
            state.case_id = self.listed_case.id
        if self.nodes is not None:
            show_case_again(self.scene, self.nodes, state.view)
        self._show_known_answer()
        if self.nodes is not None and self.outputs is not None:
            follow_reference(self.outputs, self.nodes.reference)
        self._forget_faults(before)
        self.controller.forget_outdated_error()
        self.inputs_changed()
        self._hide_others(before)

    def choice_now(self) -> SegmentChoice | None:
        """Return the current liver and tumor segments, including recent drawing; None while they make no case."""
        try:
            return self._chosen_segments() if self.nodes is not None else None
        except ReactkdError:
            return self.choice

    def _chosen_segments(self) -> SegmentChoice:
        state = self.state
        return choose_segments(state.segmentation, state.livers, state.tumors, self.task)

    def _hide_others(self, before: CaseNodes | None) -> None:
        """Hide the results of all other cases, which could be mistaken for those of the chosen case, or of none.

        If nothing was chosen yet, a result that a script has drawn stays visible.
        """
        nodes = self.nodes
        if nodes is None:
            if before is not None or PanelState.has_inputs(self.scene):
                hide_other_cases(self.scene, None, anew=before is not None)
            return
        other = before is not None and before.reference is not nodes.reference
        last = [before.segmentation] if other and before.segmentation.GetScene() is not None else []
        hide_other_cases(self.scene, nodes, *last, anew=before is None or other)
        if other:
            show_case(nodes)  # otherwise its masks would be shown over the images of the former case

    def _forget_faults(self, before: CaseNodes | None) -> None:
        """Clear messages on other inputs, unless they report that one of them is gone."""
        if before is not None and before != self.nodes and before.present:
            self.message = ""
            self.controller.forget_error()

    def _show_known_answer(self) -> None:
        known = find_parameter_node(self.scene, self.nodes) if self.nodes is not None else None
        shown, opened = self.parameter_node, self.controller.opened
        another = opened is not None and self.nodes is not None and opened.nodes.reference is not self.nodes.reference
        if self.nodes is None or another or shown not in (None, known):
            self.controller.leave()
        if known is not None and self.report is None and not (self.busy or self.answer_hidden):
            self.controller.restore(known)

    def open_case(self, nodes: CaseNodes, choice: SegmentChoice | None = None) -> None:
        """Make `nodes` the current case: the Inputs section shows them. choice None: recognize segments."""
        self.controller.leave()
        state = self.state
        for modality in state.volumes:
            state.set_volume(modality, nodes.volumes.get(modality))
        state.set_segmentation(nodes.segmentation)
        state.set_segments(*((None, None) if choice is None else (list(choice.livers), list(choice.tumors))))
        self.message = ""
        self.read_inputs()

    def show_stored(self, stored: StoredAnswer) -> None:
        """Show the earlier result of the current case, until it is graded again."""
        if self.nodes is not None and self.choice is not None:
            self.stored = stored
            opened = OpenedCase.stored(stored.report, self.nodes, self.choice)
            opened = opened.with_changes(stored.masks_changed, stored.files_changed)
            self.controller.show_stored(stored.report, opened)
            self.changed()

    def close_case(self) -> None:
        """Close the current case: stop its work, clear its inputs. Its nodes stay in the scene."""
        self.controller.leave()
        state = self.state
        for modality in state.volumes:
            state.set_volume(modality, None)
        state.set_segmentation(None)
        self.read_inputs()

    def forget_case(self) -> None:
        """Release all nodes of the closing scene, which would stay in memory, and all messages on its case."""
        self.nodes = self.choice = self.stored = None
        self.message = ""

    # the work

    def grade(self) -> None:
        """Grade the current case, as the Grade button does; the result arrives with result_changed."""
        if self.answer_hidden:
            self.set_message(HIDDEN)
            return
        self.message = ""
        if self.nodes is not None and not self.busy and not self.nodes.present:
            self.read_inputs()
        if self.nodes is None or self.busy or self.leaving:
            return
        if not self._is_graded(self._wish()):  # otherwise nothing is missing: no search needed
            try:
                ensure_packages()
            except ReactkdError as error:
                self.set_message(plain(error))
                return
        nodes, asked, case_id, model = wish = self._wish()
        self.controller.view = self.state.view
        self.controller.model = model
        if self._is_graded(wish):
            self.controller.regrade()
        else:
            self.controller.grade(nodes, asked, case_id)

    def _wish(self) -> tuple:
        """Return what to grade, and how: nodes, segments (None: recognize them), name of the case, model."""
        state = self.state
        asked = None if state.livers is None and state.tumors is None else self.choice
        return self.nodes, asked, state.case_id, self._model()

    def _model(self) -> Model:
        return Model(self.state.model, self.state.device)

    def _is_graded(self, wish: tuple) -> bool:
        """Return True if the displayed result matches this request, so that only the masks need to be read again."""
        return self.controller.opened is not None and self.controller.opened.answers(*wish)

    def warm_up(self) -> None:
        """Load libraries and the model in the worker, if there is a case and everything is installed."""
        if self.nodes is None or self.busy or missing_packages():
            return
        self.controller.model = self._model()
        self.controller.warm_up()

    def what_if(self, mute: Collection[str], leave_out: Collection[Modality]) -> None:
        """Compute the grade without some regions or images; without either, drop the last such result."""
        if self.controller.answer is None:  # a stored result: the worker must open the case, with the chosen model
            self.controller.model = self._model()
        self.controller.what_if(mute, leave_out)

    def cancel(self) -> None:
        """Stop the work within a second."""
        self.controller.cancel()

    def set_message(self, message: str) -> None:
        """Show an error, one plain sentence; empty: none."""
        self.message = message
        self.state_changed()

    def use_bundle(self, folder: Path | str | None) -> None:
        """Grade with the model in `folder` from now on; None: the shipped one."""
        task, model = self.task, self.state.model
        self.state.model = str(folder) if folder else None
        if self.state.model != model:
            self.controller.forget_error()  # it may be the fault of the former model
        if self.task != task:  # other segments belong to its case
            self.read_inputs()
        self.changed()

    # the view

    @property
    def view(self) -> ViewChoice:
        """The current display settings: as chosen, except for a hidden legend."""
        chosen = self.state.view
        return replace(chosen, legend=chosen.legend and not self.legend_aside)

    def set_view(self, **changes: Any) -> None:
        """Change display settings (fields of `ViewChoice`), now and for the next result."""
        view: ViewChoice = replace(self.state.view, **changes)
        self.state.set_view(view)
        self.controller.view = view
        self.show_anew()
        self.changed()

    def show_anew(self) -> None:
        """Apply the display settings to the result; one that is being drawn gets them at its end."""
        outputs, report = self.outputs, self.report
        if outputs is not None and report is not None and is_whole(self.parameter_node):
            show_as(outputs, report, self.view)

    def close(self) -> None:
        """Stop everything for good."""
        self.reading.changed.disconnect(self._on_reading)
        self.controller.close()
        self.checker.close()
        self.dispatcher.close()
        signals = self.inputs_changed, self.state_changed, self.result_changed, self.changed
        for signal in (*signals, self.progress_changed, self.pictures_wanted):
            signal.disconnect_all()


def _written_at(model: str | None) -> list[tuple[int, int, int] | None]:
    """Return stamps of the descriptions of a model or an ensemble; empty for the shipped one."""
    return [stamp_of(Path(model) / name) for name in (METADATA, ENSEMBLE)] if model else []
