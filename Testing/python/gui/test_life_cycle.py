"""The module goes through a module's life cycle in Slicer: entered, left, reloaded, scene and application closed."""

from __future__ import annotations

import gc
import sys
import time
import unittest
import weakref
from pathlib import Path
from typing import Any

import pytest
import slicer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget

from host.main_window import SLICER_KEYS
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.ensemble import answer_hash
from REACTKDLib.scene.case import nodes_from_case
from REACTKDLib.scene.region_segmentation import lesion_segments
from support.panel_steps import GRADE_S, choose_model, grade, wait_for_annotations, wait_for_inputs
from support.scene_files import load_scene, save_scene


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
    """Slicer's reload sets the panel up but does not call enter() again for a visible panel."""
    widget.onReload()
    user.settle()
    assert user.find("segmentationSelector").currentNode() is nodes.segmentation
    assert user.find("gradeButton").enabled and user.text("stateLabel") == "Ready to grade."
    assert set(keys_of(user)) == set(all_keys().values())
    application.select_module("SegmentEditor")
    assert keys_of(user) == []


@pytest.mark.slow
def test_a_reload_leaves_nothing_of_the_panel_before_it(panel: Any, user: Any, nodes: Any) -> None:
    """Developers reload often: a leftover panel would go on observing the scene next to the visible one."""
    user.wait_until(lambda: panel.self().panel.context.nodes is not None, what="the case")
    panel.self().panel.context.grade()
    user.wait_until(lambda: not panel.self().panel.context.busy, 90, "the grade")
    before, alive = counts(), []
    for _ in range(3):
        # Not looked up by name: in PySide, the searched object keeps a reference to what it found.
        shown = panel.self()
        parts = shown.panel.context, shown.panel.live, shown.panel.reading, *shown.panel.sections
        alive += map(weakref.ref, (shown, shown.panel, *parts))
        shown.onReload()
        del shown, parts
        user.wait_until(lambda: panel.self().panel.context.report is not None, what="the new panel, with the grade")
        user.settle()
    after = counts()
    assert [type(one()).__name__ for one in alive if one() is not None] == []
    # The modules loaded first are kept for the tests that follow.
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


def test_a_panel_that_is_reloaded_in_another_module_is_not_entered(application: Any, user: Any, widget: Any) -> None:
    application.select_module("SegmentEditor")
    widget.onReload()
    user.settle()
    assert keys_of(user) == []
    application.select_module("REACTKD")
    assert set(keys_of(user)) == set(all_keys().values())


def all_keys() -> dict[str, str]:
    """The panel's table of shortcuts: action -> keys."""
    from REACTKDLib.gui.keys import KEYS

    return KEYS


def keys_of(user: Any) -> list[str]:
    """The shortcuts of the main window besides its own actions."""
    return [one.key.toString() for one in user.window.findChildren(QShortcut) if one.enabled]


def test_the_shortcuts_are_free_and_listed(application: Any, user: Any) -> None:
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
    wait_for_inputs(user, phantom_nodes)  # this collapses the section, on a busy computer possibly while it is in use
    user.open_section("inputsSection")
    user.choose("segmentationSelector", phantom_nodes.segmentation)
    slicer.mrmlScene.Clear(0)
    assert user.find("segmentationSelector").currentNode() is None


def rest(user: Any, *timers: Any) -> None:
    """Wait until these timers have fired."""
    for timer in timers:
        if not timer.active:
            timer.start()
    end = time.monotonic() + 2.0 * max(timer.interval for timer in timers) / 1000
    while time.monotonic() < end:
        user.settle()
        time.sleep(0.01)


def test_the_model_stays_when_the_scene_is_closed_and_comes_with_a_scene_that_is_loaded(
    user: Any, scene: Any, phantom_case: Any, phantom_nodes: Any, context: Any, small_model: Path, tmp_path: Path
) -> None:
    """The next cases of a list would otherwise be graded with another model, without a word."""
    wait_for_inputs(user, phantom_nodes)
    save_scene(scene, tmp_path / "shipped.mrb")
    choose_model(user, small_model)
    user.choose("deviceComboBox", "CPU")
    for _ in range(2):  # also an empty scene
        scene.Clear(0)
        user.settle()
        assert user.find("modelPathEdit").currentPath == str(small_model) and user.text("deviceComboBox") == "CPU"
    wait_for_inputs(user, nodes_from_case(scene, phantom_case))
    grade(user)
    assert context.report.model.sha256 == answer_hash(str(small_model)) and not context.other_model
    load_scene(scene, tmp_path / "shipped.mrb")
    user.settle()
    assert user.find("modelPathEdit").currentPath == "" and context.state.device == "auto"


def test_images_of_a_scene_that_takes_long_to_load_are_recognized_at_its_end(
    user: Any, scene: Any, widget: Any, context: Any, phantom_case: Any
) -> None:
    """The timer for new nodes fires while the scene is still being read; nothing is written into it meanwhile."""
    scene.StartState(slicer.vtkMRMLScene.ImportState)
    nodes = nodes_from_case(scene, phantom_case)
    rest(user, widget.panel.nodes_timer)
    assert context.nodes is None
    scene.EndState(slicer.vtkMRMLScene.ImportState)
    user.wait_until(lambda: context.nodes == nodes, what="the recognition")


def test_masks_are_not_read_during_an_import(
    user: Any, scene: Any, widget: Any, context: Any, nodes: Any, monkeypatch: Any
) -> None:
    read = []
    monkeypatch.setattr(context, "read_inputs", lambda: read.append(context.suspended))
    scene.StartState(slicer.vtkMRMLScene.ImportState)
    nodes.segmentation.Modified()
    rest(user, widget.panel.live.timer)
    assert not read
    scene.EndState(slicer.vtkMRMLScene.ImportState)
    read.clear()
    user.wait_until(lambda: read, what="the look at the masks")


@pytest.mark.parametrize("modality", list(Modality))
def test_an_image_removed_in_a_batch_is_no_longer_an_input(
    user: Any, scene: Any, widget: Any, context: Any, nodes: Any, modality: Modality
) -> None:
    rest(user, widget.panel.nodes_timer)
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    scene.RemoveNode(nodes.volumes[modality])
    scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    user.wait_until(lambda: context.nodes.present and modality not in context.nodes.volumes, what="the removal")


@pytest.mark.parametrize("module", ["REACTKD", "SegmentEditor"])
def test_a_closed_scene_leaves_no_node_and_no_message(
    application: Any, user: Any, scene: Any, context: Any, nodes: Any, module: str
) -> None:
    """A case still referenced here would keep all its voxels in memory."""
    user.open_section("masksSection")
    user.click("checkButton")
    user.wait_until(lambda: user.find("checkButton").enabled, GRADE_S, "the check")
    grade(user)
    assert states_of_segments()
    context.set_message("The result could not be saved.")
    application.select_module(module)
    scene.Clear(0)
    user.settle()
    assert context.nodes is None and context.choice is None and not states_of_segments()
    application.select_module("REACTKD")
    assert user.text("stateLabel") == "Choose a segmentation and at least one image."


def states_of_segments() -> list[Any]:
    """What is known of the masks, with their images."""
    gc.collect()
    return [one for one in gc.get_objects() if type(one).__name__ == "SegmentState"]


def test_deleting_a_result_in_another_module_removes_its_labels(
    application: Any, user: Any, scene: Any, context: Any, nodes: Any
) -> None:
    """The name nodes appear in no list, so the user could not delete them."""

    def names() -> list[Any]:
        found = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        return [node for node in found if node.GetDisplayNode().GetVisibility()]

    grade(user)
    wait_for_annotations(user)
    application.select_module("SegmentEditor")
    user.wait_until(names, what="the names in the views of the user's layout")
    scene.RemoveNode(context.outputs.regions)
    user.wait_until(lambda: not names(), what="the names to go")
    assert application.selected == "SegmentEditor"
    application.select_module("REACTKD")
    told = "Nodes of this result were deleted, so the views do not show it. Grade again to draw them."
    assert user.text("stateLabel") == told and context.report is not None
    grade(user)
    assert context.outputs is not None and not user.sees("stateLabel")


@pytest.mark.parametrize("hidden", ["the regions", "one lesion"])
@pytest.mark.parametrize("module", ["REACTKD", "SegmentEditor"])
def test_hiding_the_regions_hides_their_labels_and_outlines(
    application: Any, user: Any, context: Any, nodes: Any, module: str, hidden: str
) -> None:
    """For example with the eye icon in the module Data: names and outlines are in no list that has such an icon."""

    def seen() -> list[Any]:
        """What shows the first lesion: its name in each view, and its outline over a PET, with the liver's."""
        marks = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        named = [
            (node, [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())]) for node in marks
        ]
        over = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if _over_a_pet(node, regions)]
        over = [node for node in over if node.GetDisplayNode().GetSegmentVisibility(lesion)]
        names = [node for node, labels in named if name in labels]
        outline = [context.outputs.liver_outline] if hidden == "the regions" else []
        return [node for node in (*names, *over, *outline) if node.GetDisplayNode().GetVisibility()]

    grade(user)
    wait_for_annotations(user)
    regions = context.outputs.regions
    display, lesion = regions.GetDisplayNode(), lesion_segments(regions)[0]
    name = regions.GetSegmentation().GetSegment(lesion).GetName()
    application.select_module(module)
    user.wait_until(seen, what="the names in the views")
    wait_for_annotations(user)
    before = sorted(node.GetName() for node in seen())

    def show(on: bool) -> None:
        display.SetVisibility(on) if hidden == "the regions" else display.SetSegmentVisibility(lesion, on)

    show(False)
    user.wait_until(lambda: not seen(), what="names and outlines to go")
    assert not display.GetVisibility() or not display.GetSegmentVisibility(lesion), (
        "the choice of the user must be kept"
    )
    show(True)
    user.wait_until(lambda: sorted(n.GetName() for n in seen()) == before, what="names and outlines to come back")


def _over_a_pet(node: Any, regions: Any) -> bool:
    return node.GetAttribute("REACTKD.OverPet") == regions.GetID()


def test_leaving_and_closing_the_module_stops_it(application: Any, user: Any, panel: Any) -> None:
    application.select_module("SegmentEditor")
    assert not panel.isEntered
    application.select_module("REACTKD")
    assert panel.isEntered
    application.close()
    assert not application.modules["REACTKD"].has_panel


def test_the_modules_own_test_passes(application: Any) -> None:
    """What ctest runs in a build of Slicer; the Reload and Test button calls runTest, which runs the same tests."""
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
