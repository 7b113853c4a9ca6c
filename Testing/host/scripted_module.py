"""Parts of Slicer's Python that a scripted module imports and that slicer-core does not contain.

`install()` makes `slicer.ScriptedLoadableModule`, `slicer.i18n`, `slicer.packaging`, `SampleData` importable, as
documented by Slicer. If REACTKD_SLICER_PYTHON is set to Slicer's folder Base/Python/slicer, its files are used instead,
so that the tests can be run with the originals.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import re
import subprocess
import sys
import unittest
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
from packaging.requirements import Requirement
from PySide6.QtCore import QCoreApplication

SLICER_PYTHON = "REACTKD_SLICER_PYTHON"
STAND_IN_MODULES = Path(__file__).resolve().parent / "slicer_modules"
NODE_CLASS = "vtkMRMLScriptedModuleNode"


class ScriptedLoadableModule:
    """The module itself: sets title, category and help on `parent`, where the application reads them."""

    def __init__(self, parent: Any) -> None:
        super().__init__()  # mixins of derived classes
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies = "", [], []
        parent.contributors, parent.helpText, parent.acknowledgementText = [], "", ""
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return f"<p>Documentation: {docPage or self.moduleName}</p>"

    def runTest(self, msec: int = 100, **keywords: Any) -> None:
        """Run <module name>Test of the module's file."""
        test = getattr(importlib.import_module(type(self).__module__), self.moduleName + "Test")()
        test.messageDelay = msec
        test.runTest(**keywords)


class ScriptedLoadableModuleWidget:
    """The panel's controller. The application creates it with the panel's widget, then calls `setup`."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()  # mixins of derived classes
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        """The original adds the reload buttons of the developer mode."""

    def cleanup(self) -> None:
        """Called when the module is unloaded, reloaded, or the application closes."""

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """The methods that other modules and scripts call."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """Return the module's parameter node, created if there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, NODE_CLASS)
            if node is not None:
                if node.GetAttribute("ModuleName") != self.moduleName:
                    node.SetAttribute("ModuleName", self.moduleName)
                return node
        else:
            nodes = self.getAllParameterNodes()
            if nodes:
                return nodes[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass(NODE_CLASS)
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass(NODE_CLASS)
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The test inside the application."""

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        slicer.util.delayDisplay(message, 0)

    def runTest(self) -> None:
        logging.warning("No test is defined in %s", type(self).__name__)


BASES = (
    ScriptedLoadableModule,
    ScriptedLoadableModuleWidget,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def translate(context: str, text: str) -> str:
    """Translate with the installed translators, as the application does. Raises for texts that cannot be looked up."""
    if not isinstance(text, str) or not text:
        raise TypeError(f"only a text can be translated, not {text!r}")
    for name in PLACEHOLDER.findall(text):
        if not name.split(":")[0].split("!")[0].isidentifier():
            raise ValueError(f"the placeholder {{{name}}} in {text!r} has no name for translators")
    return QCoreApplication.translate(context, text)


@cache
def context_of(file: str) -> str:
    """The context of a source file, as Slicer names it: "package.module", or the module's name outside a package."""
    path = Path(file)
    return f"{path.parent.name}.{path.stem}" if (path.parent / "__init__.py").is_file() else path.stem


def tr(text: str) -> str:
    """Translate in the context of the calling file; a translation that lost a placeholder is not used."""
    translation = translate(context_of(sys._getframe(1).f_code.co_filename), text)
    return translation if set(PLACEHOLDER.findall(translation)) == set(PLACEHOLDER.findall(text)) else text


class Packaging(ModuleType):
    """`slicer.packaging`: records installation requests. `refuse`: the user declines. There is no network."""

    def __init__(self) -> None:
        super().__init__("slicer.packaging")
        self.asked: list[tuple[list[str], str]] = []
        self.refuse = False

    def load_requirements(self, path: str) -> list[Requirement]:
        lines = (line.partition("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
        return [Requirement(line) for line in lines if line and not line.startswith("-")]

    def pip_check(self, requirement: Requirement) -> bool:
        try:
            return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
        except importlib.metadata.PackageNotFoundError:
            return False

    def pip_ensure(
        self,
        requirements: list[Requirement],
        prompt_install: bool = True,
        constraints: str | None = None,
        requester: str | None = None,
        skip_in_testing: bool = True,
    ) -> None:
        """Raises: RuntimeError when the user declines, CalledProcessError when pip fails; skips in testing mode."""
        missing = [str(requirement) for requirement in requirements if not self.pip_check(requirement)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return
        self.asked.append((missing, requester or ""))
        if prompt_install and self.refuse:
            raise RuntimeError("the user declined the installation")
        self.pip_install(missing, constraints=constraints)

    def pip_install(self, requirements: str | list[str], constraints: str | None = None) -> None:
        """Run pip, in testing mode too, on a computer without a network. Raises: CalledProcessError."""
        wanted = requirements.split() if isinstance(requirements, str) else requirements
        kept = ["-c", constraints] if constraints else []
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", *wanted, *kept], check=True)


def install() -> None:
    """Make the modules importable; idempotent."""
    if "slicer.ScriptedLoadableModule" in sys.modules:
        return
    real = os.environ.get(SLICER_PYTHON)
    if real:
        slicer.__path__.append(real)
        sys.path.append(str(Path(real).parents[2] / "Modules" / "Scripted" / "SampleData"))
        for name in ("i18n", "packaging"):
            setattr(slicer, name, importlib.import_module(f"slicer.{name}"))
        return
    bases = ModuleType("slicer.ScriptedLoadableModule")
    bases.__all__ = [base.__name__ for base in BASES]
    vars(bases).update({base.__name__: base for base in BASES})
    translation = ModuleType("slicer.i18n")
    translation.tr, translation.translate = tr, translate
    for module in (bases, translation, Packaging()):
        sys.modules[module.__name__] = module
        setattr(slicer, module.__name__.rpartition(".")[2], module)
    sys.path.append(str(STAND_IN_MODULES))
