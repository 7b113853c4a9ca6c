"""QUiLoader for Slicer's .ui files: uses the substitutes, and refuses unknown classes and properties."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from functools import cache
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QObject
from PySide6.QtUiTools import QUiLoader

from host.qt_shim import adopt, connect, put_property
from host.stand_ins import STAND_INS


class UiLoader(QUiLoader):
    """QUiLoader that uses the substitutes for ctk and MRML widgets and refuses any other class unknown to Qt.

    Slicer's connections in a .ui file have types that Qt does not support here; they are removed and made in Python.
    """

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        if class_name in STAND_INS:
            widget = STAND_INS[class_name](parent)
            widget.setObjectName(name)
        elif class_name in self.availableWidgets():
            widget = adopt(super().createWidget(class_name, parent, name))
        else:
            raise ValueError(f"there is no widget class {class_name}")
        self._kept.append(widget)
        return widget

    def load(self, device: Any, parent: Any = None) -> Any:
        """Load from an open QIODevice, with the connections made."""
        text, wires, wanted, enums = prepared(bytes(device.readAll()))
        buffer = QBuffer()
        buffer.setData(text)
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        self._kept: list[Any] = []
        panel = super().load(buffer, parent)
        panel.__dict__["_kept"] = self._kept
        for thing in panel.findChildren(QObject):
            adopt(thing)
        for name, known, value in enums:
            put_property(panel.findChild(QObject, name), known, value)
        for name, known in wanted:
            check_property(panel if panel.objectName == name else panel.findChild(QObject, name), known)
        for wire in wires:
            make_wire(panel, *wire)
        return panel


@cache
def prepared(text: bytes) -> tuple[bytes, list[tuple], list[tuple], list[tuple]]:
    """Return a .ui file in the form that QUiLoader can read, its connections, its properties (widget, name), its flags.

    Cached, since every test opens the same panels.
    """
    root = ElementTree.fromstring(text)
    wires = [tuple(c.findtext(part) for part in WIRE) for c in root.iter("connection")]
    for parts in root.findall("connections"):
        root.remove(parts)
    wanted = [(w.get("name"), p.get("name")) for w in root.iter("widget") for p in w.findall("property")]
    enums = take_enums(root, STAND_INS)
    return ElementTree.tostring(root), wires, wanted, enums


def take_enums(root: ElementTree.Element, stand_ins: dict[str, type]) -> list[tuple[str, str, int]]:
    """Remove the flags of substitutes, "ctkX::A|ctkX::B", which QUiLoader cannot read, from a .ui file; return them.

    Raises: AttributeError for a flag that the class does not have.
    """
    found = []
    for widget in root.iter("widget"):
        kind = stand_ins.get(widget.get("class"))
        for element in widget.findall("property") if kind else ():
            words = element.findtext("set") or element.findtext("enum") or ""
            if words.startswith(widget.get("class") + "::"):
                widget.remove(element)
                value = sum(getattr(kind, word.rpartition("::")[2]) for word in words.split("|"))
                found.append((widget.get("name"), element.get("name"), value))
    return found


def check_property(widget: Any, name: str) -> None:
    """Raise ValueError for a property that the class does not have; QUiLoader would add it as a dynamic one.

    Slicer's own dynamic properties, such as SlicerParameterName, begin with its name.
    """
    if widget.metaObject().indexOfProperty(name) < 0 and not name.startswith("Slicer"):
        raise ValueError(f"{widget.objectName} ({widget.metaObject().className()}) has no property {name}")


WIRE = ("sender", "signal", "receiver", "slot")


def make_wire(panel: Any, sender: str, signal: str, receiver: str, slot: str) -> None:
    """Make one connection of a .ui file. Raises ValueError for a name, signal or slot that does not exist."""
    ends = []
    for name in (sender, receiver):
        end = panel if panel.objectName == name else panel.findChild(QObject, name)
        if end is None:
            raise ValueError(f"the .ui file connects '{name}', which it does not hold")
        ends.append(end)
    method = getattr(ends[1], slot.partition("(")[0], None)
    if method is None:
        raise ValueError(f"{receiver} has no slot {slot}")
    connect(ends[0], signal, method)
