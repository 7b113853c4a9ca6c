"""Substitutes for Slicer's MRML widgets, with the properties, signals and invokable methods of the originals."""

from __future__ import annotations

from typing import Any

import PySide6.QtWidgets as widgets
import slicer
import vtk
from PySide6.QtCore import Property, Signal

from host.properties import kept
from host.watch import Watch


class qMRMLWidget(widgets.QWidget):
    """Holds the scene and signals its changes."""

    mrmlSceneChanged = Signal(object)
    SIGNATURES = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(qMRMLWidget):
    """A combo box of the scene's nodes of some classes.

    Follows the scene; hidden nodes are excluded. If None is not offered, the first node added is selected. After a
    batch operation (import, close) it rebuilds its rows and loses its selection, which is not restored.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    SIGNATURES = {
        **qMRMLWidget.SIGNATURES,
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
    }
    FLAGS = ("addEnabled", "removeEnabled", "editEnabled", "renameEnabled", "selectNodeUponCreation")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._nodeTypes: list[str] = []
        self._hideChildNodeTypes: list[str] = []
        self._noneEnabled, self._addEnabled, self._removeEnabled = False, True, True
        self._editEnabled, self._renameEnabled, self._showHidden = False, False, False
        self._showChildNodeTypes, self._selectNodeUponCreation = True, True
        self._noneDisplay, self._baseName = "None", ""
        self._attributes: list[tuple[str, str, Any]] = []
        self._id = ""
        self._shown: list[Any] = []
        self._watch, self._names = Watch(self), Watch(self)
        self._box = widgets.QComboBox(self)
        row = widgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._box.setSizeAdjustPolicy(widgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._box.activated.connect(self._on_activated)
        self.setSizePolicy(widgets.QSizePolicy.Policy.Expanding, widgets.QSizePolicy.Policy.Fixed)

    nodeTypes = kept("nodeTypes", "QStringList", "_refresh")
    hideChildNodeTypes = kept("hideChildNodeTypes", "QStringList", "_refresh")
    noneEnabled, showHidden = kept("noneEnabled", bool, "_refresh"), kept("showHidden", bool, "_refresh")
    showChildNodeTypes = kept("showChildNodeTypes", bool, "_refresh")
    noneDisplay = kept("noneDisplay", str, "_refresh")
    addEnabled, removeEnabled, editEnabled, renameEnabled, selectNodeUponCreation = map(kept, FLAGS)
    baseName = kept("baseName", str)

    def setMRMLScene(self, scene: Any) -> None:
        self._watch.clear()
        if scene is not None:

            @vtk.calldata_type(vtk.VTK_OBJECT)
            def changed(_scene: Any, _event: str, node: Any) -> None:
                if any(node.IsA(kind) for kind in self._nodeTypes):  # a grade adds dozens of others
                    self._refresh()

            self._watch.observe(scene, (scene.NodeAddedEvent, scene.NodeRemovedEvent), changed)
            ends = (scene.EndCloseEvent, scene.EndImportEvent, scene.EndBatchProcessEvent)
            self._watch.observe(scene, ends, lambda *_: self._rebuild())
        super().setMRMLScene(scene)
        self._refresh()

    def addAttribute(self, nodeType: str, attributeName: str, attributeValue: Any = None) -> None:
        self._attributes.append((nodeType, attributeName, attributeValue))
        self._refresh()

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._id) if self._scene is not None and self._id else None

    currentNodeID = Property(str, lambda self: self._id, lambda self, value: self._choose(value))

    def setCurrentNodeID(self, node_id: str) -> None:
        self._choose(node_id or "")

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    def setCurrentNode(self, node: Any) -> None:
        if node is not None and not isinstance(node, (str, slicer.vtkMRMLNode)):
            raise ValueError(f"setCurrentNode refuses {node!r}")
        self._choose(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        found = {}  # by class, in C++, since the original does not search the scene in Python either
        for kind in self._nodeTypes:
            nodes = self._scene.GetNodesByClass(kind)
            nodes.UnRegister(None)
            matching = (node for node in nodes if self._showChildNodeTypes or node.GetClassName() == kind)
            found.update((node.GetID(), node) for node in matching)
        offered = {node_id: node for node_id, node in found.items() if self._offers(node)}
        if len(self._nodeTypes) < 2:
            return list(offered.values())
        return [node for node in self._scene.GetNodes() if node.GetID() in offered]

    def _offers(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self._showHidden:
            return False
        if any(node.IsA(kind) for kind in self._hideChildNodeTypes):
            return False
        wanted = [(name, value) for kind, name, value in self._attributes if node.IsA(kind)]
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name)) for name, value in wanted
        )

    def _choose(self, node_id: str, nodes: list[Any] | None = None) -> None:
        offered = [node.GetID() for node in (self._nodes() if nodes is None else nodes)]
        if node_id not in offered:  # the original shows None for a node that it does not offer
            node_id = "" if self._noneEnabled or not offered else offered[0]
        self._box.setCurrentIndex(self._box.findData(node_id))
        self._choose_id(node_id)

    def _choose_id(self, node_id: str) -> None:
        if node_id != self._id:
            self._id = node_id
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(node_id)

    def _on_activated(self, index: int) -> None:
        self._choose(self._box.itemData(index) or "")
        self.nodeActivated.emit(self.currentNode())

    def _rebuild(self) -> None:
        self._show_rows([])
        self._choose_id("")
        self._refresh()

    def _refresh(self) -> None:
        scene = self._scene
        if scene is not None and (scene.IsBatchProcessing() or scene.IsClosing()):
            return  # an end event follows
        nodes = self._nodes()
        first = self._box.itemText(0) if self._box.findData("") == 0 else None
        if nodes != self._shown or first != (self._noneDisplay if self._noneEnabled else None):
            self._show_rows(nodes)
        self._choose(self._id, nodes)

    def _show_rows(self, nodes: list[Any]) -> None:
        self._shown = nodes
        self._names.clear()
        self._box.clear()
        if self._noneEnabled:
            self._box.addItem(self._noneDisplay, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
            self._names.observe(node, [vtk.vtkCommand.ModifiedEvent], self._on_modified)

    def _on_modified(self, node: Any, _event: str) -> None:
        index = self._box.findData(node.GetID())
        if index >= 0 and self._box.itemText(index) != node.GetName():
            self._box.setItemText(index, node.GetName() or "")
