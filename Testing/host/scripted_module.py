"""The parts of Slicer's Python that a scripted module file imports and that slicer-core does not bring.

`install()` makes `slicer.ScriptedLoadableModule` and `slicer.i18n` importable, with base classes that keep what the
real ones promise to a module file: `parent`, `logic`, `resourcePath`, `delayDisplay`. No widget is made here.
"""

from __future__ import annotations

import inspect
import sys
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer


class ScriptedLoadableModule:
    """The module itself: fills in `parent`, on which the application reads title, category, help."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return f"<p>Documentation: {docPage or type(self).__name__}</p>"


class ScriptedLoadableModuleWidget:
    """The panel's controller; the application calls `setup` once the panel is first shown."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.layout = parent.layout() if parent is not None else None
        self.logic: Any = None

    def resourcePath(self, filename: str) -> str:
        return str(Path(inspect.getfile(type(self))).parent / "Resources" / filename)

    def setup(self) -> None:
        """The real one adds the reload buttons of the developer mode."""

    def cleanup(self) -> None:
        """Called when the application closes."""

    def onReload(self) -> None:
        """The real one reloads the module file."""


class ScriptedLoadableModuleLogic:
    """What other modules and scripts call."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The test inside the application."""

    def runTest(self) -> None:
        """The real one is a placeholder as well; modules override it."""

    def delayDisplay(self, message: str, *_: Any, **__: Any) -> None:
        print(message)


def tr(text: str) -> str:
    """Translate: identity without translation files, as in the application."""
    return text


def install() -> None:
    """Make the two modules importable; idempotent, and without effect where the real ones exist."""
    bases = ModuleType("slicer.ScriptedLoadableModule")
    for base in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(bases, base.__name__, base)
    translation = ModuleType("slicer.i18n")
    translation.tr = tr
    translation.translate = lambda _context, text: text
    for module in (bases, translation):
        sys.modules.setdefault(module.__name__, module)
        name = module.__name__.rpartition(".")[2]
        if not hasattr(slicer, name):
            setattr(slicer, name, sys.modules[module.__name__])
