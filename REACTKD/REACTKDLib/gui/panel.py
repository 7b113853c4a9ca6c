"""The whole panel: its sections, the timer that advances the work, and reactions to the scene."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from REACTKDLib.core.log import log_uncaught
from REACTKDLib.core.worker.dispatcher import JobDispatcher
from REACTKDLib.gui.cases_panel import CasesPanel
from REACTKDLib.gui.context import PanelContext
from REACTKDLib.gui.grade_panel import GradePanel
from REACTKDLib.gui.inputs_panel import InputsPanel
from REACTKDLib.gui.live import Live
from REACTKDLib.gui.masks_panel import MasksPanel
from REACTKDLib.gui.reader_panel import ReaderPanel
from REACTKDLib.gui.report_panel import ReportPanel
from REACTKDLib.gui.section import Section, place_of
from REACTKDLib.gui.settings_panel import SettingsPanel
from REACTKDLib.gui.training_panel import TrainingPanel
from REACTKDLib.gui.views import show_answer, show_case
from REACTKDLib.gui.views_panel import ViewsPanel
from REACTKDLib.gui.why_panel import WhyPanel
from REACTKDLib.scene.panel_state import DEVICES, PanelState
from REACTKDLib.scene.reading import Reading
from REACTKDLib.scene.script_runner import SLICE_S

#: from top to bottom; a new section is added here
SECTIONS: tuple[type[Section], ...] = (
    CasesPanel,
    InputsPanel,
    MasksPanel,
    GradePanel,
    WhyPanel,
    ReaderPanel,
    ViewsPanel,
    ReportPanel,
    TrainingPanel,
    SettingsPanel,
)
POLL_MS = 30
BUSY_POLL_MS = 5  # work takes a dozen steps or answers of the worker: with 30 ms between them, twice the time
NODES_MS = 400  # nodes are often added one after another


class Panel(VTKObservationMixin):
    """Created in the module's `setup`; the module calls `enter`, `exit` and `cleanup` too.

    frame: REACTKD.ui. resources: the module's folder Resources. is_entered: returns whether the module is open.
    """

    def __init__(self, frame: Any, resources: Path, is_entered: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._is_entered = is_entered
        self._end_log = log_uncaught("a callback of the panel")
        self.reading = Reading(slicer.mrmlScene, JobDispatcher())  # a worker of its own: docs/decisions/0029
        self.context = PanelContext(resources, self.reading)
        self.sections: list[Section] = []
        buttons = slicer.util.childWidgetVariables(frame)
        for section in SECTIONS:
            place = place_of(section, frame, buttons, self.sections[-1].place if self.sections else None)
            self.sections.append(section(self.context, place))
        self.inputs: InputsPanel = self.sections[SECTIONS.index(InputsPanel)]
        self.live = Live(self.context)
        self._in_view = ""
        self.context.controller.surfaces_shown.connect(self.on_surfaces)
        self.context.inputs_changed.connect(self.on_inputs)
        scene = slicer.mrmlScene
        self.addObserver(scene, slicer.vtkMRMLScene.StartCloseEvent, self.on_scene_start_close)
        self.addObserver(scene, slicer.vtkMRMLScene.EndCloseEvent, self.on_scene_end_close)
        self.addObserver(scene, slicer.vtkMRMLScene.StartImportEvent, self.on_scene_start_import)
        self.addObserver(scene, slicer.vtkMRMLScene.EndImportEvent, self.on_scene_end_import)
        self.addObserver(scene, slicer.vtkMRMLScene.EndBatchProcessEvent, self.on_scene_end_batch)
        self.addObserver(scene, slicer.vtkMRMLScene.NodeRemovedEvent, self.on_node_removed)
        self.addObserver(scene, slicer.vtkMRMLScene.NodeAddedEvent, self.on_node_added)
        self._new: set[str] = set()  # new images and segmentations, not chosen since
        self._settings: tuple[str | None, str] | None = None  # model and device of a scene that is being closed
        self._adds_scene = False  # while a scene is added to an open case
        self._removed = False  # a node was removed during batch processing
        self.nodes_timer = qt.QTimer()
        self.nodes_timer.setSingleShot(True)
        self.nodes_timer.setInterval(NODES_MS)
        self.nodes_timer.connect("timeout()", self.on_nodes_changed)
        self._work = deque((self.reading.work, self.context.controller.poll, *(s.poll for s in self.sections)))
        self._pace = POLL_MS
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.on_timer)
        self.timer.start()

    def on_timer(self) -> None:
        """Process the worker's messages, and work; tasks that find no time come first at the next timeout."""
        until = time.perf_counter() + SLICE_S
        for _turn in range(len(self._work)):
            if self.context.suspended or time.perf_counter() >= until:
                break
            work = self._work[0]
            self._work.rotate(-1)
            work()
        working = self.context.busy or self.reading.loader.busy or any(section.working for section in self.sections)
        pace = BUSY_POLL_MS if working else POLL_MS
        if pace != self._pace:
            self._pace = pace
            self.timer.setInterval(pace)

    def on_surfaces(self) -> None:
        """Handle a result in slices and 3D views; its map follows. The first one of a case moves the views to it, later
        ones do not.

        Neither does one that arrives while another module is open, where the user may be drawing.
        """
        nodes, report = self.context.nodes, self.context.report
        if nodes is None or report is None or nodes.reference.GetID() == self._in_view:
            return
        self._in_view = nodes.reference.GetID()
        if not self._is_entered():
            return
        show_case(nodes)
        show_answer(nodes, report)

    def on_inputs(self) -> None:
        """Chosen nodes are no longer new: if removed again, they are not filled in automatically."""
        state = self.context.state
        chosen = (*state.volumes.values(), state.segmentation)
        self._new.difference_update(node.GetID() for node in chosen if node is not None)

    def enter(self) -> None:
        """When the module is opened, search the scene if nothing is chosen yet, else the new nodes."""
        self.inputs.recognize_first()
        if self._new:
            self.on_nodes_changed()
        for section in self.sections:
            section.enter()

    def exit(self) -> None:
        """When another module is opened, work continues, so that grades can follow edits in the Segment Editor."""
        for section in self.sections:
            section.exit()

    def on_scene_start_close(self, _caller: Any = None, _event: Any = None) -> None:
        """Release every node. Model and device are kept for the next scene."""
        state = PanelState.find(slicer.mrmlScene)
        self._settings = (state.model, state.device) if state is not None else None
        self.context.suspended = True
        self._new.clear()
        self._in_view = ""
        self.live.forget()
        for section in self.sections:
            section.before_scene_closes()
        self.context.controller.leave()
        self.context.forget_case()

    def on_scene_end_close(self, _caller: Any = None, _event: Any = None) -> None:
        """Start anew with an empty scene, and with the same model: a list is read on with it. A scene that is loaded
        brings its own.
        """
        self.context.suspended = False
        if self._settings is not None and self._settings != (None, DEVICES[0]):
            model, device = self._settings
            self.context.state.model = model
            self.context.state.set_device(device)
        self._settings = None
        self._read_scene()

    def on_scene_start_import(self, _caller: Any = None, _event: Any = None) -> None:
        """A scene is being read: its nodes are incomplete, and its inputs must not mix with the current case."""
        self.context.suspended = True
        self._adds_scene = PanelState.has_inputs(slicer.mrmlScene)

    def on_scene_end_import(self, _caller: Any = None, _event: Any = None) -> None:
        """A scene was imported, or refused: an open case stays; without one, show the scene's choices and result."""
        if not self._adds_scene and PanelState.has_inputs(slicer.mrmlScene):
            self._new.clear()  # the scene states what is chosen; an image that it leaves out stays out
        self.context.suspended = self._adds_scene = False
        self._read_scene()

    def on_scene_end_batch(self, _caller: Any = None, _event: Any = None) -> None:
        """The selectors have rebuilt their rows and lost their nodes."""
        if not self.context.suspended and self._is_entered():
            self.inputs.refresh()
        if self._removed:
            self._removed = False
            self.nodes_timer.start()

    def on_node_removed(self, _caller: Any = None, _event: Any = None) -> None:
        """An input or an output may have been removed."""
        scene = slicer.mrmlScene
        if self.context.suspended or scene.IsClosing():
            return
        if scene.IsBatchProcessing():
            self._removed = True
        else:
            self.nodes_timer.start()  # the node is still being removed

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(self, _caller: Any, _event: Any, node: Any) -> None:
        """A new image or segmentation may be a missing input."""
        is_image = node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLSegmentationNode")
        if is_image and not node.GetHideFromEditors() and not self._adds_scene:  # hidden: for display only
            self._new.add(node.GetID())
            self.nodes_timer.start()

    def on_nodes_changed(self) -> None:
        """No further node was added for a while."""
        if self.context.busy or self.context.suspended:  # checked when the work has ended, or the scene is loaded
            self.nodes_timer.start()
        elif self._is_entered():  # otherwise new nodes wait for `enter`
            new, self._new = self._new, set()
            self.inputs.recognize(only=new) if new else self.context.read_inputs()
        elif self.context.report is not None:
            self.context.changed()  # annotations of a removed result are removed too

    def _read_scene(self) -> None:
        if not self.context.suspended and self._is_entered() and not slicer.mrmlScene.IsClosing():
            self.context.read_inputs()

    def cleanup(self) -> None:
        """Undo everything; a second time changes nothing."""
        self.context.suspended = True
        self.timer.stop()
        self.nodes_timer.stop()
        self.nodes_timer.disconnect("timeout()", self.on_nodes_changed)
        self.timer.disconnect("timeout()", self.on_timer)
        self.removeObservers()
        self._end_log()
        self.live.close()
        for section in self.sections:
            section.cleanup()
        self.context.close()
