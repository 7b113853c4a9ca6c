"""Substitutes for Slicer's segment selectors, with the properties, signals and methods of the originals."""

from __future__ import annotations

from typing import Any

import PySide6.QtWidgets as widgets
import slicer
from PySide6.QtCore import Qt, Signal

from host.mrml_widgets import qMRMLNodeComboBox, qMRMLWidget
from host.properties import kept, of_part
from host.watch import Watch

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")


class SegmentationWatch:
    """Calls back when the segments of a node are added, removed or renamed; one node at a time."""

    def __init__(self, owner: Any, changed: Any) -> None:
        self.node: Any = None
        self._changed = changed
        self._segmentation: Any = None
        self._watch = Watch(owner)

    def follow(self, node: Any) -> None:
        self._watch.clear()
        self.node = node
        self._segmentation = node.GetSegmentation() if node is not None else None
        if self._segmentation is not None:
            events = [getattr(slicer.vtkSegmentation, name) for name in SEGMENT_EVENTS]
            self._watch.observe(self._segmentation, events, lambda *_: self._changed())

    def segments(self) -> list[tuple[str, str]]:
        """(ID, name) of each segment. One that an undo brings back has no name for a moment."""
        if self._segmentation is None:
            return []
        return [(id, self._segmentation.GetSegment(id).GetName() or "") for id in self._segmentation.GetSegmentIDs()]


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A combo box of segmentations and one of its segments; with multiSelection, a list with check marks."""

    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal(list)
    SIGNATURES = {
        **qMRMLWidget.SIGNATURES,
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentSegmentChanged(QString)": "currentSegmentChanged",
        "segmentSelectionChanged(QStringList)": "segmentSelectionChanged",
    }

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._multiSelection, self._horizontalLayout, self._noneEnabled = False, True, False
        self._segment, self._checked = "", []
        self._watch = SegmentationWatch(self, self._refresh)
        self._nodes = qMRMLNodeComboBox()
        self._nodes.setProperty("nodeTypes", ["vtkMRMLSegmentationNode"])
        self._nodes.setProperty("addEnabled", False)
        self._nodes.setProperty("removeEnabled", False)
        self._box, self._list = widgets.QComboBox(), widgets.QListWidget()
        self._list.setMaximumHeight(110)
        column = widgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self._nodes, self._box, self._list):
            column.addWidget(part)
        self._list.hide()
        self._nodes.currentNodeChanged.connect(self._on_node)
        self._box.activated.connect(lambda index: self._choose(self._box.itemData(index) or ""))
        self._list.itemChanged.connect(lambda _: self._on_checked())

    noneEnabled = kept("noneEnabled", bool, "_on_none_enabled")
    multiSelection = kept("multiSelection", bool, "_refresh")
    horizontalLayout = kept("horizontalLayout")
    editEnabled = of_part("nodes", "editEnabled", bool)
    selectNodeUponCreation = of_part("nodes", "selectNodeUponCreation", bool)
    segmentationNodeSelectorVisible = of_part("nodes", "visible", bool)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, node_id: str) -> None:
        self._nodes.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        self._only(False)
        return self._segment

    def segmentIDs(self) -> list[str]:
        return [id for id, _ in self._watch.segments()]

    def selectedSegmentIDs(self) -> list[str]:
        self._only(True)
        return list(self._checked)

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._only(False)
        self._choose(segment_id)

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        self._only(True)
        self._check(list(segment_ids))

    def _only(self, multi: bool) -> None:
        if multi is not self._multiSelection:  # the original logs a critical message
            raise RuntimeError(f"multiSelection is {self._multiSelection}; use the other method")

    def _on_none_enabled(self) -> None:
        self._nodes.setProperty("noneEnabled", self._noneEnabled)
        self._refresh()

    def _on_node(self, node: Any) -> None:
        self._watch.follow(node)
        self._refresh()
        self.currentNodeChanged.emit(node)

    def _refresh(self) -> None:
        self._box.setVisible(not self._multiSelection)
        self._list.setVisible(self._multiSelection)
        segments = self._watch.segments()
        self._box.clear()
        if self._noneEnabled or not segments:
            self._box.addItem("None", "")
        for id, name in segments:
            self._box.addItem(name, id)
        self._choose(self._segment)
        self._check([id for id in self._checked if id in dict(segments)])

    def _choose(self, segment_id: str) -> None:
        offered = self.segmentIDs()
        if segment_id not in offered and (segment_id or not self._noneEnabled):
            segment_id = offered[0] if offered else ""  # as in the original, even if None is offered
        self._box.setCurrentIndex(max(self._box.findData(segment_id), 0))
        if segment_id != self._segment:
            self._segment = segment_id
            if not self._multiSelection:
                self.currentSegmentChanged.emit(segment_id)

    def _check(self, segment_ids: list[str]) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        for id, name in self._watch.segments():
            item = widgets.QListWidgetItem(name, self._list)
            item.setData(Qt.ItemDataRole.UserRole, id)
            item.setCheckState(Qt.CheckState.Checked if id in segment_ids else Qt.CheckState.Unchecked)
        self._list.blockSignals(False)
        self._on_checked()

    def _on_checked(self) -> None:
        items = [self._list.item(row) for row in range(self._list.count)]
        checked = [i.data(Qt.ItemDataRole.UserRole) for i in items if i.checkState() == Qt.CheckState.Checked]
        if checked != self._checked:
            self._checked = checked
            if self._multiSelection:
                self.segmentSelectionChanged.emit(checked)
