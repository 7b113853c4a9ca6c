"""Modules and their panels: `slicer.modules.<name>`; created, entered, exited, reloaded and unloaded as in Slicer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QVBoxLayout

from host.mrml_widgets import qMRMLWidget


class ModuleManager(QObject):
    """qSlicerModuleManager: finds modules by name and signals when one is unloaded."""

    moduleAboutToBeUnloaded = Signal(str)

    def module(self, name: str) -> Any:
        return getattr(slicer.modules, name.lower(), None)

    def loadedModulesNames(self) -> tuple[str, ...]:
        return tuple(module.name for module in vars(slicer.modules).values() if hasattr(module, "name"))

    def factoryManager(self) -> Any:
        return SimpleNamespace(loadedModuleNames=self.loadedModulesNames)


class ModuleWidget(qMRMLWidget):
    """qSlicerScriptedLoadableModuleWidget: the panel of a module written in Python."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        QVBoxLayout(self)
        self._module = module
        self._python: Any = None
        self._entered = False

    @property
    def isEntered(self) -> bool:
        return self._entered

    def self(self) -> Any:
        """The Python object of the panel."""
        return self._python

    def start(self) -> None:
        """Create the Python object and call its `setup`."""
        name = self._module.name
        self._python = getattr(sys.modules[name], name + "Widget")(self)
        setattr(slicer.modules, name + "Widget", self._python)
        self._python.setup()

    def reload(self) -> None:
        """The last step of `slicer.util.reloadScriptedModule`: set up; not entered again, even if it is visible."""
        self.start()

    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def _call(self, name: str) -> None:
        if hasattr(self._python, name):
            getattr(self._python, name)()


class About:
    """The attributes that a module file sets when Slicer loads it; other names raise."""

    __slots__ = (
        "path", "name", "title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText",
        "icon", "hidden", "index", "associatedNodeTypes", "widgetRepresentationCreationEnabled",
    )  # fmt: skip


class Module:
    """One scripted module, as `slicer.modules.<name>`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.name = path.stem
        self._widget: ModuleWidget | None = None
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(self.name, path)
        code = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = code
        spec.loader.exec_module(code)
        self.about = About()
        self.about.path, self.about.name = self.path, self.name
        self.python = getattr(code, self.name)(self.about)

    @property
    def title(self) -> str:
        return self.about.title

    def widgetRepresentation(self) -> ModuleWidget:
        """Return the panel, which is created in the first call."""
        if self._widget is None:
            self._widget = ModuleWidget(self)
            self._widget.setMRMLScene(slicer.mrmlScene)
            self._widget.start()
        return self._widget

    @property
    def has_panel(self) -> bool:
        return self._widget is not None

    def forget_panel(self) -> None:
        """Unload the panel, as the application does when it closes."""
        if self._widget is None:
            return
        if self._widget.isEntered:
            self._widget.exit()
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(self.name)
        self._widget.hide()
        self._widget.setParent(None)
        self._widget.setMRMLScene(None)
        self._widget.deleteLater()
        self._widget = None
        delattr(slicer.modules, self.name + "Widget")


class SegmentEditor:
    """The Segment Editor module, as far as other modules use it: the segmentation that it was given or chose itself."""

    name = "SegmentEditor"

    def __init__(self) -> None:
        self.segmentation: Any = None
        self.source: Any = None
        editor = SimpleNamespace(
            setSegmentationNode=self._set_segmentation,
            setSourceVolumeNode=self._set_source,
            segmentationNode=lambda: self.segmentation,
        )
        python = SimpleNamespace(editor=editor)
        self._representation = SimpleNamespace(self=lambda: python)

    def widgetRepresentation(self) -> Any:
        return self._representation

    def enter(self) -> None:
        """Enter the module: without a segmentation it selects the first one of the scene, or adds one."""
        scene, kind = slicer.mrmlScene, "vtkMRMLSegmentationNode"
        if self.segmentation is None or not scene.IsNodePresent(self.segmentation):
            self.segmentation = scene.GetFirstNodeByClass(kind) or scene.AddNewNodeByClass(kind)

    def _set_segmentation(self, node: Any) -> None:
        assert node is None or node.IsA("vtkMRMLSegmentationNode")
        self.segmentation = node

    def _set_source(self, node: Any) -> None:
        assert node is None or node.IsA("vtkMRMLScalarVolumeNode")
        self.source = node
