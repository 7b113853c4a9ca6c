"""The module lives as Slicer's modules do: entered, left, reloaded, scene closed, application closed."""

from __future__ import annotations

import gc
import sys
import unittest
import weakref
from typing import Any

import pytest
import slicer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget

from host.main_window import SLICER_KEYS


def test_the_panel_opens(user: Any) -> None:
    assert user.sees("gradeButton") and not user.find("gradeButton").enabled
    assert user.text("stateLabel") == "Choose a segmentation and at least one image."
    assert "not for clinical use" in user.text("clinicalUseLabel")
    user.screenshot("panel-empty")
    user.screenshot("window-empty", of="window")


def test_reload_makes_a_new_panel_that_works(application: Any, user: Any, widget: Any) -> None:
    before = widget
    widget.onReload()
    user.settle()
    after = application.modules["REACTKD"].widgetRepresentation().self()
    assert after is not before and type(after) is not type(before)
    assert user.sees("gradeButton")


def test_a_panel_that_could_not_be_set_up_is_left_and_reloaded(
    application: Any, user: Any, widget: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(path: str) -> Any:
        raise OSError(path)

    with monkeypatch.context() as broken:
        broken.setattr(slicer.util, "loadUI", damaged)
        with pytest.raises(OSError):
            widget.onReload()
    application.select_module("SegmentEditor")
    application.select_module("REACTKD")
    application.modules["REACTKD"].widgetRepresentation().self().onReload()
    user.settle()
    assert user.sees("gradeButton")


def test_a_panel_that_is_reloaded_on_show_is_entered(application: Any, user: Any, nodes: Any, widget: Any) -> None:
    """Slicer's reload sets the panel up and does not say again that it is on show."""
    widget.onReload()
    user.settle()
    assert user.find("segmentationSelector").currentNode() is nodes.segmentation
    assert user.find("gradeButton").enabled and user.text("stateLabel") == "Ready to grade."
    assert set(keys_of(user)) == set(all_keys().values())
    application.select_module("SegmentEditor")
    assert keys_of(user) == []


@pytest.mark.slow
def test_a_reload_leaves_nothing_of_the_panel_before_it(panel: Any, user: Any, nodes: Any) -> None:
    """Developers reload many times: what stays would follow the scene, beside the panel that is seen."""
    user.wait_until(lambda: panel.self().panel.context.nodes is not None, what="the case")
    panel.self().panel.context.grade()
    user.wait_until(lambda: not panel.self().panel.context.busy, 90, "the grade")
    before, alive = counts(), []
    for _ in range(3):
        # By no name: PySide lets whatever was searched keep what it finds.
        shown = panel.self()
        parts = shown.panel.context, shown.panel.live, shown.panel.reading, *shown.panel.sections
        alive += map(weakref.ref, (shown, shown.panel, *parts))
        shown.onReload()
        del shown, parts
        user.wait_until(lambda: panel.self().panel.context.report is not None, what="the new panel, with the grade")
        user.settle()
    after = counts()
    assert [type(one()).__name__ for one in alive if one() is not None] == []
    # The first one's modules are kept, for the tests that follow.
    assert after == {**before, "copies of the package": before["copies of the package"] + 1}


def counts() -> dict[str, int]:
    """What a panel adds to the application."""
    gc.collect()
    return {
        "widgets": len(QApplication.allWidgets()),
        "observers of the scene": str(slicer.mrmlScene).count("vtkObserver"),
        "copies of the package": sum(type(one) is type and one.__name__ == "WorkerClient" for one in gc.get_objects()),
    }


def test_a_closed_application_leaves_no_widget_of_the_panel(application: Any) -> None:
    before = set(QApplication.allWidgets())
    application.select_module("REACTKD")
    assert len(set(QApplication.allWidgets()) - before) > 100
    application.close()
    assert set(QApplication.allWidgets()) == before


def test_a_panel_that_is_reloaded_out_of_sight_waits(application: Any, user: Any, widget: Any) -> None:
    application.select_module("SegmentEditor")
    widget.onReload()
    user.settle()
    assert keys_of(user) == []
    application.select_module("REACTKD")
    assert set(keys_of(user)) == set(all_keys().values())


def all_keys() -> dict[str, str]:
    """The table of keys of the panel: action -> keys."""
    from REACTKDLib.gui.keys import KEYS

    return KEYS


def keys_of(user: Any) -> list[str]:
    """The shortcuts that the main window has beside its own actions."""
    return [one.key.toString() for one in user.window.findChildren(QShortcut) if one.enabled]


def test_the_keys_are_free_and_told(application: Any, user: Any) -> None:
    keys = all_keys()
    own = keys_of(user)
    taken = {keys.toString() for kind in QKeySequence.StandardKey for keys in QKeySequence.keyBindings(kind)}
    assert not set(own) & (taken | set(SLICER_KEYS)) and "Ctrl+P" in taken and sorted(own) == sorted(keys.values())
    panel = application.modules["REACTKD"].widgetRepresentation()
    tips = " ".join(widget.toolTip or "" for widget in panel.findChildren(QWidget))
    assert all(one in tips for one in own if one != keys["grade"]), "the button's own tip comes with a case"
    told = user.find("keysLabel").text
    assert all(one in told for one in own)


def test_scene_close_and_a_second_case(user: Any, phantom_nodes: Any) -> None:
    user.open_section("inputsSection")
    user.choose("segmentationSelector", phantom_nodes.segmentation)
    slicer.mrmlScene.Clear(0)
    assert user.find("segmentationSelector").currentNode() is None


def test_leaving_and_closing(application: Any, user: Any, panel: Any) -> None:
    application.select_module("SegmentEditor")
    assert not panel.isEntered
    application.select_module("REACTKD")
    assert panel.isEntered
    application.close()
    assert not application.modules["REACTKD"].has_panel


def test_the_modules_own_test_passes(application: Any) -> None:
    """What ctest runs in a build of Slicer; the Reload and Test button calls runTest, which runs the same."""
    loaded = unittest.TestLoader().loadTestsFromTestCase(sys.modules["REACTKD"].REACTKDTest)
    result = unittest.TestResult()
    loaded.run(result)
    assert result.testsRun == 2
    assert not result.errors and not result.failures, result.errors + result.failures


def run_own_tests(*names: str) -> unittest.TestResult:
    kind = sys.modules["REACTKD"].REACTKDTest
    result = unittest.TestResult()
    unittest.TestSuite(map(kind, names)).run(result)
    return result


def test_the_modules_own_test_skips_where_packages_are_missing(
    application: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from REACTKDLib.gui import packages

    (tmp_path / "requirements.txt").write_text("einops>=999\n", encoding="utf-8")
    monkeypatch.setattr(packages, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(slicer.packaging, "asked", [])  # other tests have asked, too
    result = run_own_tests("test_gradesAPhantom", "test_panelGradesAPhantom")
    assert [reason for _, reason in result.skipped] == ["Python packages are missing: einops"] * 2
    assert not result.errors and not result.failures
    sys.modules["REACTKD"].REACTKDTest().runTest()  # the Reload and Test button
    assert slicer.packaging.asked == []


@pytest.fixture
def no_main_window(application: Any) -> Any:
    application.app.setNoMainWindow(True)
    yield
    application.app.setNoMainWindow(False)


def test_without_a_main_window_it_works_and_nothing_is_printed(
    no_main_window: None, application: Any, panel: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with --no-main-window: no window, no views, no module selector."""
    assert slicer.util.mainWindow() is None and slicer.app.layoutManager() is None
    panel.exit()
    capfd.readouterr()
    result = run_own_tests("test_panelGradesAPhantom")
    assert not result.errors and not result.failures, result.errors + result.failures
    panel.exit()
    next(part for part in panel.self().panel.sections if part.ui_file == "MasksPanel.ui").on_segment_editor()
    slicer.app.processEvents()
    printed = "".join(capfd.readouterr())
    assert not [line for line in printed.splitlines() if "test" not in line.lower()], printed
