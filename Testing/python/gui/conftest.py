"""The panel on the Slicer test host, operated as a user operates it.

How to write a test:

    def test_the_grade_is_shown(user, widget, phantom_nodes):
        user.choose("ctSelector", phantom_nodes.volumes[Modality.CT])     # by object name, in the list of the selector
        user.click("applyButton")                                         # fails where it is hidden or disabled
        user.wait_until(lambda: user.sees("resultLabel"), what="the grade")
        assert "poor" in user.text("resultLabel")
        user.screenshot("graded")               # build/screenshots/graded.png, if REACTKD_SCREENSHOTS=1 is set

`application` is the host (window, module panels, `select_module`, `close`), `widget` the Python object of the entered
panel, `user` simulates the user (clicks, keys, visible texts). After each test, no slot, timer, event handler or
observer may have raised, and VTK may not have reported an error. A test that provokes an error checks it and calls
`application.forget_errors()`.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("slicer") is not None:  # before a test imports the scene, whose texts would otherwise stay in English
    from host.scripted_module import install

    install()

REPOSITORY = Path(__file__).resolve().parents[3]
NODES_MS = 30  # for which the panel waits for more nodes; for users it is 400, which dozens of tests would wait for


@pytest.fixture
def application(worker: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The running application with an empty scene, the module loaded and the main window open."""
    from PySide6.QtCore import QSettings

    from host import views
    from host.application import start
    from host.main_window import PANEL_WIDTH

    views.REDRAW_MS = (
        None  # nobody is watching: a test renders what it checks, and everything modified is rendered at its end
    )
    running = start()
    running.forget_errors()  # the scene is empty: the previous test has closed it
    running.load_module(REPOSITORY / "REACTKD" / "REACTKD.py")
    import REACTKDLib.gui.panel  # with all its parts, once for all tests
    from REACTKDLib.core.worker.dispatcher import JobDispatcher
    from REACTKDLib.scene import mask_saving

    monkeypatch.setattr(REACTKDLib.gui.context, "JobDispatcher", lambda: JobDispatcher(worker))
    monkeypatch.setattr(mask_saving, "KEEP_AFTER_S", math.inf)  # on a busy computer, some tests take half a minute
    QSettings().setValue("REACTKD/ReaderName", "")  # asked before, left empty: opening a list does not ask for a name
    running.window.set_panel_width(PANEL_WIDTH)  # a test may have changed it
    running.window.show()
    loaded = _own_modules()
    yield running
    try:
        running.app.processEvents()
        running.assert_no_errors()
    finally:
        running.close()
        running.clear()
        _take_back_reload(loaded)


def _take_back_reload(loaded: dict[str, Any]) -> None:
    """Undo a reload: it creates new modules, whose classes other tests do not know."""
    if all(sys.modules.get(name) is module for name, module in loaded.items()):
        return
    for name in _own_modules():
        del sys.modules[name]
    sys.modules.update(loaded)


def _own_modules() -> dict[str, Any]:
    """The imported modules of the extension."""
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("REACTKD", "REACTKDLib")}


@pytest.fixture
def panel(application: Any) -> Any:
    """The panel's widget, entered (Slicer's widget representation of the module)."""
    application.select_module("REACTKD")
    panel = application.modules["REACTKD"].widgetRepresentation()
    panel.self().panel.nodes_timer.setInterval(NODES_MS)
    return panel


@pytest.fixture
def widget(panel: Any) -> Any:
    """The Python object of the panel, REACTKDWidget."""
    return panel.self()


@pytest.fixture
def user(application: Any, panel: Any) -> Any:
    """The simulated user."""
    from host.user import User

    return User(application)


@pytest.fixture
def scene(application: Any) -> Any:
    """The MRML scene."""
    return application.host.scene


@pytest.fixture(scope="session")
def phantom_case() -> Any:
    """A small digital phantom with CT, FDG, acetate and masks."""
    from support.panel_steps import small_phantom

    return small_phantom(1)


@pytest.fixture
def phantom_nodes(scene: Any, phantom_case: Any) -> Any:
    """The small phantom as nodes of the scene: `.volumes` by Modality, `.segmentation`."""
    from REACTKDLib.scene.case import nodes_from_case

    return nodes_from_case(scene, phantom_case)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with random weights that answers at once, for tests that do not depend on its answer."""
    from support.small_models import write_small_model

    return write_small_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def nodes(user: Any, scene: Any, phantom_nodes: Any, small_model: Path) -> Any:
    """The phantom, chosen by the panel itself; the small model is selected."""
    from REACTKDLib.scene.panel_state import PanelState
    from support.panel_steps import wait_for_inputs

    PanelState.of(scene).model = str(small_model)
    wait_for_inputs(user, phantom_nodes)
    return phantom_nodes


@pytest.fixture
def context(widget: Any) -> Any:
    """The context shared by the panel's sections, to check what no widget shows."""
    return widget.panel.context


@pytest.fixture(scope="session")
def phantom_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small phantoms, each in its own folder."""
    from support.case_files import write_case
    from support.panel_steps import CASES, small_phantom

    root = tmp_path_factory.mktemp("phantoms")
    for seed, name in enumerate(CASES, start=1):
        write_case(small_phantom(seed), root / name)
    return root


@pytest.fixture
def folder(phantom_files: Path, tmp_path: Path) -> Path:
    """A copy of the six phantoms, so that the test can write next to them."""
    return Path(shutil.copytree(phantom_files, tmp_path / "cohort"))
