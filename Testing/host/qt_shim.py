"""The module `qt` as in Slicer's Python (PythonQt), on top of PySide6: properties are attributes, signals are strings.

PySide6's classes are patched in place, so that `type(button) is qt.QPushButton` holds as in Slicer. Nothing is more
lenient than PythonQt: an attribute that is not a property cannot be set, an unknown signal cannot be connected, and
exceptions in slots are recorded for the test (PythonQt prints them and continues). Only a host process may `install`.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import ModuleType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import PySide6.QtCore
import PySide6.QtGui
import PySide6.QtWidgets
from PySide6.QtCore import Property, QMetaMethod, QObject, SignalInstance

MODULES = (PySide6.QtCore, PySide6.QtGui, PySide6.QtWidgets)
# Virtual in C++: the bindings search overrides by name and would find the attribute.
VIRTUAL = {"sizeHint", "minimumSizeHint", "hasHeightForWidth"}
# PythonQt lacks them, or they have another meaning there.
ABSENT = {"Signal", "Slot", "Property", "ClassInfo", "Enum", "Flag", "QEnum", "QFlag"}

#: tracebacks of exceptions in slots since the last reset
slot_errors: list[str] = []


class QtProperty:
    """A Qt property as an attribute. On the class it stays unchanged: QTimer.singleShot is a function there."""

    def __init__(self, name: str, before: Any) -> None:
        self.name = name
        self._before = before

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self._before if owner is None else owner.property(self.name)

    def __set__(self, owner: Any, value: Any) -> None:
        put_property(owner, self.name, value)


def put_property(owner: Any, name: str, value: Any) -> None:
    """Set a property, or raise as PythonQt does."""
    meta = owner.metaObject()
    known = meta.property(meta.indexOfProperty(name))
    if not known.isWritable():
        raise AttributeError(f"Property '{name}' of type '{meta.className()}' is not writable")
    if value is None and known.typeName() in ("QString", "bool", "int", "double"):
        raise ValueError(f"Property '{name}' of '{meta.className()}' refuses None")
    if not owner.setProperty(name, value):
        raise ValueError(f"Property '{name}' of '{meta.className()}' refuses {value!r}")


def keep_error(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """`sys.excepthook`: records exceptions in slots of signal objects, timers and observers."""
    slot_errors.append("".join(traceback.format_exception(kind, error, trace)))
    sys.__excepthook__(kind, error, trace)


def adopt(thing: QObject) -> QObject:
    """Add `connect` and `disconnect` by signature to any object; return it."""
    if "_connections" not in thing.__dict__:
        thing.__dict__["_connections"] = {}
        thing.__dict__["connect"] = partial(connect, thing)
        thing.__dict__["disconnect"] = partial(disconnect, thing)
    return thing


def connect(sender: QObject, signature: str, slot: Callable[..., Any]) -> bool:
    """`sender.connect("clicked(bool)", slot)`."""
    if not callable(slot):
        raise ValueError(f"{slot!r} cannot be called")
    wanted = arguments_of(signature)
    signal = signal_of(sender, signature)
    room = capacity(slot)

    def receive(*given: Any) -> None:
        try:
            slot(*given[: min(len(wanted), room)])
        except Exception:
            sys.excepthook(*sys.exc_info())  # as PythonQt does

    signal.connect(receive)
    sender.__dict__["_connections"].setdefault((signature, slot), []).append((signal, receive))
    return True


def disconnect(sender: QObject, signature: str, slot: Callable[..., Any] | None = None) -> bool:
    """Undo `connect`; returns False if there was no such connection."""
    known = sender.__dict__["_connections"]
    keys = [key for key in known if key[0] == signature and slot in (None, key[1])]
    for key in keys:
        for signal, receive in known.pop(key):
            signal.disconnect(receive)
    return bool(keys)


def signal_of(sender: QObject, signature: str) -> Any:
    """Return the bound signal with this signature. Raises ValueError if the class has none."""
    declared = getattr(type(sender), "SIGNATURES", {})  # of substitutes, whose arguments Qt does not know
    name = signature.partition("(")[0]
    if signature in declared:
        return getattr(sender, declared[signature])
    meta = sender.metaObject()
    index = meta.indexOfSignal(signature)
    if index < 0 or meta.method(index).methodType() is not QMetaMethod.MethodType.Signal:
        raise ValueError(f"'{signature}' is not a valid signal signature of {meta.className()}")
    types = ",".join(arguments_of(signature))
    return getattr(sender, name)[types] if types else getattr(sender, name)


def arguments_of(signature: str) -> list[str]:
    """Return the argument types in "name(type,type)"."""
    found = re.fullmatch(r"\w+\((.*)\)", signature)
    if not found:
        raise ValueError(f"'{signature}' is not a signal signature")
    return [part for part in found.group(1).split(",") if part]


def capacity(slot: Callable[..., Any]) -> int:
    """Return the number of positional arguments that a slot accepts."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return sys.maxsize
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return sys.maxsize
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def install() -> ModuleType:
    """Patch PySide6, make `import qt` work, and return that module; once per process."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    module = ModuleType("qt")
    for source in MODULES:
        for name in dir(source):
            if not name.startswith("_") and name not in ABSENT:
                setattr(module, name, getattr(source, name))
    for kind in object_classes():
        patch(kind)
    QObject.name = QtProperty("objectName", None)
    for kind in (QObject, PySide6.QtWidgets.QWidget):
        kind.setParent = accepting_null(kind.setParent)
    QObject.className = lambda self: self.metaObject().className()
    sys.modules["qt"] = module
    sys.excepthook = keep_error
    return module


def accepting_null(method: Callable[..., Any]) -> Callable[..., Any]:
    """Accept 0 for no object, as PythonQt does."""

    def call(self: Any, thing: Any, *others: Any) -> Any:
        return method(self, None if thing == 0 else thing, *others)

    return call


def object_classes() -> Iterator[type]:
    """Yield every QObject class, parents before children."""
    found = {
        thing
        for source in MODULES
        for thing in (getattr(source, name) for name in dir(source))
        if isinstance(thing, type) and issubclass(thing, QObject)
    }
    yield from sorted(found, key=lambda kind: len(kind.__mro__))


def patch(kind: type) -> None:
    """Patch one class to behave as in PythonQt."""
    meta = kind.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if name not in VIRTUAL:
            setattr(kind, name, QtProperty(name, getattr(kind, name, None)))
    made = kind.__init__

    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:
        made(self, *arguments, **keywords)
        adopt(self)

    kind.__init__ = __init__
    kind.__setattr__ = set_attribute
    if hasattr(kind, "exec") and not hasattr(kind, "exec_"):
        kind.exec_ = kind.exec


def _is_open(self: Any, name: str) -> bool:
    """Python classes of modules accept any attribute; the host's substitutes only their own private ones."""
    if type(self).__module__.startswith("host."):
        return name.startswith("_")
    return not type(self).__module__.startswith("PySide6")


@cache
def _declared(kind: type, name: str) -> Any:
    """Return a class's attribute; cached, because a panel sets hundreds of properties at a time."""
    return inspect.getattr_static(kind, name, None)


def set_attribute(self: Any, name: str, value: Any) -> None:
    """Set a property, or an attribute of a class written in Python; nothing else can be set.

    The bindings store a signal on the object at its first access.
    """
    declared = _declared(type(self), name)
    if isinstance(declared, Property):
        put_property(self, name, value)
    elif hasattr(type(declared), "__set__"):
        declared.__set__(self, value)
    elif _is_open(self, name) or isinstance(value, SignalInstance):
        self.__dict__[name] = value
    elif not (isinstance(value, QObject) and value.objectName == name):  # QUiLoader's, which Slicer's does not offer
        raise AttributeError(f"{type(self).__name__} does not have a property named '{name}'")
