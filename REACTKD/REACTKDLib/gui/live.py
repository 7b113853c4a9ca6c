"""Live grading: a mask edit is graded automatically after a short pause."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

REST_MS = 300
GRADE_MS = 10


class Live(VTKObservationMixin):
    """Observes the inputs of the current case; makes the context read them again, and grades if enabled."""

    SEGMENT_EVENTS = (
        slicer.vtkSegmentation.SourceRepresentationModified,
        slicer.vtkSegmentation.SegmentAdded,
        slicer.vtkSegmentation.SegmentRemoved,
        slicer.vtkSegmentation.SegmentModified,
    )
    NODE_EVENTS = (
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
    )

    def __init__(self, context: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.context = context
        self._observed: list[Any] = []
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(REST_MS)
        self.timer.connect("timeout()", self.on_rest)
        self.grade_timer = qt.QTimer()  # changes are shown first: both in one slot would cause a noticeable delay
        self.grade_timer.setSingleShot(True)
        self.grade_timer.setInterval(GRADE_MS)
        self.grade_timer.connect("timeout()", self.on_grade)
        context.inputs_changed.connect(self.observe)
        context.changed.connect(self.on_changed)

    def observe(self) -> None:
        """Observe the chosen nodes."""
        state = self.context.state
        nodes = [node for node in (state.segmentation, *state.volumes.values()) if node is not None]
        data = [state.segmentation.GetSegmentation()] if state.segmentation is not None else []
        if [*nodes, *data] == self._observed:
            return
        self.forget()
        self._observed = [*nodes, *data]
        for segmentation in data:
            for event in self.SEGMENT_EVENTS:
                self.addObserver(segmentation, event, self.on_edit)
        for node in dict.fromkeys(nodes):  # a node may be chosen twice
            # Undo and synchronization by the Segment Editor may replace the whole content.
            for event in (vtk.vtkCommand.ModifiedEvent, *self.NODE_EVENTS):
                self.addObserver(node, event, self.on_edit)

    def on_edit(self, _caller: Any = None, _event: Any = None) -> None:
        """A mask was edited, or a node was changed or moved: wait for the end of the edits."""
        self.timer.start()

    def on_changed(self) -> None:
        """Handle Live being switched on after masks were edited."""
        if not self.context.suspended and self.context.state.live and self.context.outdated:
            self.timer.start()

    def on_rest(self) -> None:
        """After a pause in drawing: read the masks, and grade them if enabled."""
        context = self.context
        if not self._observed:
            return
        if context.busy or context.suspended or context.leaving:
            self.timer.start()
            return
        before = context.choice
        context.read_inputs()  # segments may have changed; also shows that the result is outdated
        if context.report is None or not (context.outdated or context.choice != before):
            return
        if context.state.live and context.nodes is not None:
            self.grade_timer.start()

    def on_grade(self) -> None:
        """Grade the edited masks."""
        if self.context.busy or self.context.suspended or self.context.leaving:
            self.timer.start()
        elif self.context.state.live and self.context.nodes is not None:
            self.context.grade()

    def forget(self) -> None:
        """Stop observing."""
        self.timer.stop()
        self.grade_timer.stop()
        self.removeObservers()
        self._observed = []

    def close(self) -> None:
        """Stop for good."""
        self.forget()
        self.timer.disconnect("timeout()", self.on_rest)  # a connection keeps both ends alive, and the context
        self.grade_timer.disconnect("timeout()", self.on_grade)
        self.context.inputs_changed.disconnect(self.observe)
        self.context.changed.disconnect(self.on_changed)
