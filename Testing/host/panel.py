"""A module's panel without the application: its .ui file on real Qt, seen through the names that PythonQt gives it.

In Slicer a widget's Qt properties are Python attributes and signals are connected by signature; here a view of each
widget does that, as strictly: an unknown property, signal or widget class is an error.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Property, QMetaMethod, Signal
from PySide6.QtUiTools import QUiLoader
from PySide6.QtWidgets import QApplication, QWidget


class NodeSelector(QWidget):
    """qMRMLNodeComboBox: the properties that a .ui file may set, the scene that it is given, and the node chosen."""

    currentNodeChanged = Signal(object)
    signatures = {"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged"}

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flags = {"addEnabled": True, "removeEnabled": True, "noneEnabled": False}
        self._types: list[str] = []
        self._node: Any = None
        self.scene: Any = None

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is None and not self._flags["noneEnabled"]:
            raise ValueError(f"{self.objectName()} does not offer None")
        if node is not None and not any(node.IsA(kind) for kind in self._types):
            raise ValueError(f"{self.objectName()} does not offer a {node.GetClassName()}")
        self._node = node
        self.currentNodeChanged.emit(node)

    def setMRMLScene(self, scene: Any) -> None:
        self.scene = scene

    def _flag(name: str) -> Property:  # noqa: N805 - makes the class body's properties
        def put(self: NodeSelector, value: bool) -> None:
            self._flags[name] = value

        return Property(bool, lambda self: self._flags[name], put)

    addEnabled, removeEnabled, noneEnabled = map(_flag, ("addEnabled", "removeEnabled", "noneEnabled"))

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)

    nodeTypes = Property("QStringList", lambda self: self._types, _set_types)


class CollapsibleButton(QWidget):
    """ctkCollapsibleButton: a container with a title."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""

    def _set_text(self, text: str) -> None:
        self._text = text

    text = Property(str, lambda self: self._text, _set_text)


class MrmlWidget(QWidget):
    """qMRMLWidget: hands its scene on to those that the .ui file connects."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.listeners: list[Callable[[Any], None]] = []

    def setMRMLScene(self, scene: Any) -> None:
        for listener in self.listeners:
            listener(scene)


STAND_INS = {
    "qMRMLNodeComboBox": NodeSelector,
    "ctkCollapsibleButton": CollapsibleButton,
    "qMRMLWidget": MrmlWidget,
}


class _Loader(QUiLoader):
    def createWidget(self, class_name: str, parent: QWidget | None = None, name: str = "") -> QWidget:
        if class_name in STAND_INS:
            widget = STAND_INS[class_name](parent)
            widget.setObjectName(name)
            return widget
        if class_name not in self.availableWidgets():
            raise ValueError(f"no stand-in for the widget class {class_name}")
        return super().createWidget(class_name, parent, name)


class View:
    """One widget as PythonQt shows it."""

    def __init__(self, widget: QWidget) -> None:
        object.__setattr__(self, "widget", widget)

    def __getattr__(self, name: str) -> Any:
        if self.widget.metaObject().indexOfProperty(name) >= 0:
            return self.widget.property(name)
        return getattr(self.widget, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.widget.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{type(self.widget).__name__} has no property {name}")
        if not self.widget.setProperty(name, value):
            raise TypeError(f"{type(self.widget).__name__}.{name} refuses {value!r}")

    def connect(self, signature: str, slot: Callable[..., Any]) -> None:
        own = getattr(self.widget, "signatures", {})
        if signature in own:
            getattr(self.widget, own[signature]).connect(slot)
            return
        meta = self.widget.metaObject()
        index = meta.indexOfSignal(signature)
        if index < 0 or meta.method(index).methodType() is not QMetaMethod.MethodType.Signal:
            raise ValueError(f"{type(self.widget).__name__} has no signal {signature}")
        getattr(self.widget, signature.partition("(")[0]).connect(slot)


def load_panel(path: Path | str) -> View:
    """Load a .ui file as `slicer.util.loadUI` does, with its scene connections made."""
    QApplication.instance() or QApplication([])
    tree = ElementTree.parse(path)
    connections = tree.getroot().find("connections")
    if connections is not None:  # their types are Slicer's, so Qt's loader cannot make them
        tree.getroot().remove(connections)
    with TemporaryDirectory() as folder:
        stripped = Path(folder) / "panel.ui"
        tree.write(stripped, encoding="utf-8", xml_declaration=True)
        panel = _Loader().load(str(stripped))
    for connection in connections if connections is not None else ():
        _connect_scene(panel, *(connection.findtext(part) or "" for part in ("sender", "signal", "receiver", "slot")))
    return View(panel)


def _connect_scene(panel: QWidget, sender: str, signal: str, receiver: str, slot: str) -> None:
    if (sender, signal, slot) != (panel.objectName(), "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"):
        raise ValueError(f"no stand-in for the connection {sender}.{signal} -> {receiver}.{slot}")
    panel.listeners.append(panel.findChild(QWidget, receiver).setMRMLScene)


def child_widgets(panel: View) -> SimpleNamespace:
    """Return each named widget of the panel, as `slicer.util.childWidgetVariables` does."""
    named = {child.objectName(): View(child) for child in panel.widget.findChildren(QWidget)}
    return SimpleNamespace(**{name: view for name, view in named.items() if name.isidentifier()})
