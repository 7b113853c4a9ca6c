"""A Slicer application around the booted scene: `slicer.app`, a main window, module panels that enter, exit and reload.

    application = start()                               # once per process
    application.load_module("REACTKD/REACTKD.py")       # as at Slicer's start
    application.select_module("REACTKD")                # the panel is made, set up, shown and entered

`slicer.util` is Slicer's own file and works here: loadUI, setSliceViewerLayers, reloadScriptedModule, loadVolume, ...
Tests use the fixtures of Testing/python/gui/conftest.py, which also explains how to simulate clicks.
"""

from __future__ import annotations

import importlib
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer

from host import dialogs, python_slicer
from host.boot import Host, boot
from host.qt_shim import install as install_qt
from host.qt_shim import slot_errors
from host.scripted_module import install as install_modules
from host.stand_ins import CTK, MRML
from host.subject_hierarchy import keep_items
from host.ui_loader import UiLoader
from host.user import process_events

qt = install_qt()
qt.QUiLoader = UiLoader

from PySide6.QtCore import QCoreApplication, QObject, QSettings, Signal  # noqa: E402 - after the patching
from PySide6.QtWidgets import QApplication  # noqa: E402

from host.file_io import CoreIOManager  # noqa: E402
from host.layout import Layout  # noqa: E402
from host.main_window import MainWindow, ModuleSelector  # noqa: E402
from host.modules import Module, ModuleManager, ModuleWidget, SegmentEditor  # noqa: E402


class SlicerApp(QObject):
    """`slicer.app`. In testing mode Slicer's message boxes are only logged."""

    startupCompleted = Signal()
    lastWindowClosed = Signal()
    aboutToQuit = Signal()
    applicationName = "Slicer"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/latest/"

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._manager = ModuleManager(self)
        self._layout = Layout(host)
        self._files = CoreIOManager()
        self._temporary = tempfile.mkdtemp(prefix="slicer-app-")
        self._settings = QSettings(str(Path(self._temporary) / "settings.ini"), QSettings.Format.IniFormat)
        self._settings.setValue("Developer/SelfTestDisplayMessageDelay", 0)
        self._testing = True
        self._options = SimpleNamespace(noMainWindow=False, runPythonAndExit=False)
        self._exit_status: int | None = None

    @property
    def temporaryPath(self) -> str:
        return self._temporary

    @property
    def cachePath(self) -> str:
        return self._temporary

    def testingEnabled(self) -> bool:
        return self._testing

    def setTestingEnabled(self, testing: bool) -> None:
        """Not in Slicer, where it is a command-line option."""
        self._testing = testing

    def processEvents(self, *flags: Any) -> None:
        QApplication.processEvents(*flags)

    def moduleManager(self) -> ModuleManager:
        return self._manager

    def layoutManager(self) -> Layout | None:
        return None if self._options.noMainWindow else self._layout

    def coreIOManager(self) -> CoreIOManager:
        return self._files

    def ioManager(self) -> CoreIOManager:
        return self._files

    def settings(self) -> QSettings:
        return self._settings

    def userSettings(self) -> QSettings:
        return self._settings

    def topLevelWidgets(self) -> list[Any]:
        hidden = MainWindow if self._options.noMainWindow else ()
        return [widget for widget in QApplication.topLevelWidgets() if not isinstance(widget, hidden)]

    def setNoMainWindow(self, without: bool) -> None:
        """Not in Slicer, where it is a command-line option: hides the main window and its views from modules."""
        self._options.noMainWindow = without

    def applicationLogic(self) -> Any:
        return self._host.application_logic

    def mrmlScene(self) -> Any:
        return self._host.scene

    def setOverrideCursor(self, cursor: Any) -> None:
        QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        QApplication.restoreOverrideCursor()

    def translate(self, context: str, text: str) -> str:
        return QApplication.translate(context, text)

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def commandOptions(self) -> Any:
        return self._options

    def pauseRender(self) -> None:
        """Views are rendered on request only."""

    def resumeRender(self) -> None:
        """Views are rendered on request only."""

    def exit(self, status: int = 0) -> None:
        self._exit_status = status
        QApplication.exit(status)

    def restart(self) -> None:
        raise RuntimeError("the test host does not restart")


class Application:
    """All parts of the host together, for tests and for the window."""

    def __init__(self) -> None:
        QCoreApplication.setOrganizationName("REACTKD test host")
        self.qt_application = QApplication.instance() or QApplication(["slicer-host"])
        self.host = boot()
        keep_items(self.host.scene)
        install_modules()
        offer_widgets()
        dialogs.install()
        self.app = slicer.app = SlicerApp(self.host)
        python_slicer.install(Path(self.app.temporaryPath))
        # QSettings() of a module must not reach the developer's own settings.
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, self.app.temporaryPath)
        self.modules: dict[str, Module] = {}
        self.selected = ""
        self.segment_editor = slicer.modules.segmenteditor = SegmentEditor()
        self.window = MainWindow(
            self.app.layoutManager(), lambda parent: ModuleSelector(self.select_module, lambda: self.selected, parent)
        )

    def load_module(self, path: Path | str) -> Module:
        """Load a module file once and notify it that the application has started."""
        path = Path(path).resolve()
        if path.stem not in self.modules:
            self.modules[path.stem] = module = Module(path)
            setattr(slicer.modules, path.stem.lower(), module)
            self.app.startupCompleted.emit()
        return self.modules[path.stem]

    def load_sample_data(self) -> Module:
        """Load the module Sample Data: the substitute, or Slicer's own if REACTKD_SLICER_PYTHON points to it."""
        return self.load_module(importlib.import_module("SampleData").__file__)

    def select_module(self, name: str) -> None:
        """Exit the current module and enter another; its panel is shown in the window."""
        leaving = self.modules.get(self.selected)
        if leaving is not None and leaving.has_panel and leaving.widgetRepresentation().isEntered:
            leaving.widgetRepresentation().exit()
        self.selected = name
        if name in self.modules:
            panel = self.modules[name].widgetRepresentation()
            self.window.show_panel(panel)
            panel.enter()
        elif name == self.segment_editor.name:
            self.segment_editor.enter()
        else:
            raise ValueError(f"there is no module {name}")

    def clear(self) -> None:
        """Close the scene and forget collected errors, for the next test."""
        self.host.scene.Clear(0)
        self.forget_errors()

    def forget_errors(self) -> None:
        """Discard errors of slots and VTK, after a test that provokes them."""
        self.host.errors.clear()
        slot_errors.clear()

    def assert_no_errors(self) -> None:
        """Render what has changed; raise AssertionError for any errors of slots or VTK so far."""
        self.app._layout.check_changes()
        if slot_errors:
            raise AssertionError("Slots raised:\n" + "\n".join(slot_errors))
        self.host.errors.assert_none()

    def close(self) -> None:
        """Close the application: exit and unload every module, as Slicer does."""
        self.app.aboutToQuit.emit()
        for module in self.modules.values():
            module.forget_panel()
        self.selected = ""
        process_events()  # now the panels are deleted


def offer_widgets() -> None:
    """Make `import ctk` work, and add to `slicer` the MRML widgets and the classes that slicer.util checks for."""
    import sys

    ctk = ModuleType("ctk")
    vars(ctk).update(CTK)
    sys.modules["ctk"] = ctk
    vars(slicer).update(MRML)
    slicer.qSlicerScriptedLoadableModuleWidget = ModuleWidget
    slicer.qSlicerScriptedLoadableModule = Module


def start() -> Application:
    """Start once per process; later calls return the same application, with the views of its layout."""
    application = _application()
    application.app._layout.show_again()
    return application


@cache
def _application() -> Application:
    return Application()
