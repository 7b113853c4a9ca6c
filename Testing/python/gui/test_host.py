"""The Slicer test host is as strict as promised: what fails in Slicer, or is only printed there, fails here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from PySide6.QtCore import QObject, Signal


def ui_file(folder: Path, widget_class: str, extra: str = "", connections: str = "") -> str:
    path = folder / "panel.ui"
    path.write_text(
        f'<ui version="4.0"><class>P</class><widget class="qMRMLWidget" name="P"><layout class="QVBoxLayout"><item>'
        f'<widget class="{widget_class}" name="inner">{extra}</widget></item></layout></widget>'
        f"<connections>{connections}</connections></ui>",
        encoding="utf-8",
    )
    return str(path)


def wire(signal: str, receiver: str, slot: str) -> str:
    return (
        f"<connection><sender>P</sender><signal>{signal}</signal>"
        f"<receiver>{receiver}</receiver><slot>{slot}</slot></connection>"
    )


SCENE = "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"


def test_an_unknown_widget_class_fails(application: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no widget class ctkFancyWidget"):
        slicer.util.loadUI(ui_file(tmp_path, "ctkFancyWidget"))


def test_a_property_that_the_class_does_not_have_fails(application: Any, tmp_path: Path) -> None:
    extra = '<property name="noneAllowed"><bool>true</bool></property>'
    with pytest.raises(ValueError, match="noneAllowed"):
        slicer.util.loadUI(ui_file(tmp_path, "qMRMLNodeComboBox", extra))


@pytest.mark.parametrize(
    "connection",
    [
        wire("mrmlSceneChange(vtkMRMLScene*)", "inner", SCENE[1]),
        wire(SCENE[0], "other", SCENE[1]),
        wire(SCENE[0], "inner", "setScene(vtkMRMLScene*)"),
    ],
    ids=["signal", "receiver", "slot"],
)
def test_a_wrong_connection_fails(application: Any, tmp_path: Path, connection: str) -> None:
    with pytest.raises(ValueError):
        slicer.util.loadUI(ui_file(tmp_path, "qMRMLNodeComboBox", connections=connection))


def test_the_scene_reaches_only_the_selectors_that_are_connected(application: Any, tmp_path: Path) -> None:
    wired = wire(SCENE[0], "inner", SCENE[1])
    connected = slicer.util.loadUI(ui_file(tmp_path, "qMRMLNodeComboBox", connections=wired))
    connected.setMRMLScene(slicer.mrmlScene)
    assert slicer.util.childWidgetVariables(connected).inner.mrmlScene() is slicer.mrmlScene
    alone = slicer.util.loadUI(ui_file(tmp_path, "qMRMLNodeComboBox"))
    alone.setMRMLScene(slicer.mrmlScene)
    assert slicer.util.childWidgetVariables(alone).inner.mrmlScene() is None


def test_a_name_that_is_no_property_cannot_be_set(application: Any) -> None:
    import ctk
    import qt

    for widget in (qt.QPushButton(), ctk.ctkCollapsibleButton(), slicer.qMRMLNodeComboBox()):
        with pytest.raises(AttributeError, match="toolTipp"):
            widget.toolTipp = "a typing mistake"
        widget.toolTip = "right"
        assert widget.toolTip == "right"


def test_a_value_of_the_wrong_type_fails(application: Any) -> None:
    import qt

    with pytest.raises((ValueError, TypeError)):
        qt.QLabel().text = None
    with pytest.raises((ValueError, TypeError)):
        qt.QPushButton().text = ["a", "list"]


@pytest.mark.parametrize("signature", ["clickd(bool)", "clicked", "clicked(int)", "text()"])
def test_an_unknown_signal_cannot_be_connected(application: Any, signature: str) -> None:
    import qt

    with pytest.raises(ValueError, match="signal"):
        qt.QPushButton().connect(signature, lambda: None)


def test_slots_take_as_many_arguments_as_they_accept_and_can_be_disconnected(application: Any) -> None:
    import qt

    button, calls = qt.QPushButton(), []
    none, one = (lambda: calls.append("none")), (lambda checked: calls.append(checked))
    button.connect("clicked(bool)", none)
    button.connect("clicked(bool)", one)
    button.click()
    assert calls == ["none", False]
    assert button.disconnect("clicked(bool)", none)
    assert not button.disconnect("clicked(bool)", none)
    button.click()
    assert calls == ["none", False, False]


def raise_fault(*_: Any) -> None:
    raise RuntimeError("the fault in the slot")


def by_signature(button: Any) -> None:
    button.connect("clicked()", raise_fault)
    button.click()


def by_signal_object(button: Any) -> None:
    button.clicked.connect(raise_fault)
    button.click()


def by_timer(_button: Any) -> None:
    import qt

    qt.QTimer.singleShot(0, raise_fault)
    slicer.app.processEvents()


def by_observer(_button: Any) -> None:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, raise_fault)
    node.Modified()


@pytest.mark.parametrize("way", [by_signature, by_signal_object, by_timer, by_observer])
def test_what_a_slot_raises_fails_the_test(application: Any, way: Any) -> None:
    import qt

    way(qt.QPushButton())
    with pytest.raises(AssertionError, match="the fault in the slot"):
        application.assert_no_errors()
    application.forget_errors()
    application.assert_no_errors()


def test_a_file_dialog_without_an_answer_fails(application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import qt

    with pytest.raises(AssertionError, match="waits for an answer"):
        qt.QFileDialog.getSaveFileName(None, "Save", "", "*.json")
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", staticmethod(lambda *_: "chosen.json"))
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "*.json") == "chosen.json"


def test_what_vtk_reports_fails_the_test(application: Any) -> None:
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLNoSuchNode")
    with pytest.raises(AssertionError, match="vtkMRMLNoSuchNode|VTK"):
        application.assert_no_errors()
    application.forget_errors()


def test_only_visible_and_enabled_widgets_can_be_clicked(user: Any) -> None:
    with pytest.raises(AssertionError, match="0 widgets are named noSuchButton"):
        user.click("noSuchButton")


def test_slicer_util_saves_and_loads_by_the_extension(application: Any, tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = slicer.util.addVolumeFromArray(array, name="V")
    assert slicer.util.saveNode(volume, str(tmp_path / "v.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    loaded = slicer.util.loadVolume(str(tmp_path / "v.nrrd"))
    assert (slicer.util.arrayFromVolume(loaded) == array).all() and loaded.GetName() == "v"
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert (slicer.util.arrayFromVolume(slicer.util.getNode("V")) == array).all()
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadVolume(str(tmp_path / "nothing.nrrd"))


def test_views_follow_slicer_util(application: Any) -> None:
    volume = slicer.util.addVolumeFromArray(np.zeros((20, 20, 20), np.int16), name="V")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    layout = slicer.app.layoutManager()
    for name in layout.sliceViewNames():
        assert layout.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    slicer.modules.markups.logic().JumpSlicesToLocation(-3.0, -4.0, 5.0, True)
    for name in layout.sliceViewNames():
        center = [layout.sliceWidget(name).mrmlSliceNode().GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        assert center == pytest.approx([-3.0, -4.0, 5.0])
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert [name for name in layout.sliceViewNames() if layout.sliceWidget(name).isVisible()] == ["Red"]
    layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    with pytest.raises(ValueError, match="no layout"):
        layout.setLayout(987)


def test_a_segment_selector_follows_its_segmentation(application: Any) -> None:
    chosen: list[Any] = []
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(slicer.mrmlScene)
    selector.multiSelection = True
    selector.connect("segmentSelectionChanged(QStringList)", chosen.append)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "S")
    segmentation = node.GetSegmentation()
    liver, tumor = (segmentation.AddEmptySegment(name, name) for name in ("liver", "tumor"))
    selector.setCurrentNode(node)
    assert selector.segmentIDs() == [liver, tumor]
    selector.setSelectedSegmentIDs([tumor])
    assert chosen[-1] == [tumor] == selector.selectedSegmentIDs()
    segmentation.RemoveSegment(tumor)
    assert selector.segmentIDs() == [liver] and selector.selectedSegmentIDs() == []
    with pytest.raises(RuntimeError, match="multiSelection"):
        selector.currentSegmentID()


def test_a_node_selector_follows_the_scene(application: Any) -> None:
    told: list[Any] = []
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", told.append)
    first, hidden = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in "ab")
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "c")
    assert [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())] == ["a", "c"]
    assert selector.currentNode() is None and told == []
    selector.setCurrentNode(first)
    slicer.mrmlScene.RemoveNode(first)
    assert told == [first, None]


def test_a_translated_text_needs_named_placeholders(application: Any) -> None:
    from slicer.i18n import tr as _

    assert _("{count} cases") == "{count} cases"
    if "REACTKD_SLICER_PYTHON" not in os.environ:
        with pytest.raises(ValueError, match="translators"):
            _("{0} cases")


def test_a_failed_wait_reports_the_texts_of_the_panel(user: Any, widget: Any) -> None:
    """A wait that fails once in a hundred runs cannot be repeated."""
    with pytest.raises(AssertionError, match=r"in vain for the moon; the panel says: .*Choose a segmentation and"):
        user.wait_until(lambda: False, 0.0, "the moon")


def test_views_of_a_closed_application_are_in_no_layout(application: Any) -> None:
    """Its view nodes stay in the scene: later tests without an application showed color legends in them only."""
    from host.application import start
    from REACTKDLib.scene.shown_views import SLICE_VIEW, THREE_D_VIEW, shown_views

    def shown() -> int:
        return sum(len(shown_views(application.host.scene, kind)) for kind in (SLICE_VIEW, THREE_D_VIEW))

    assert shown() == 4
    application.close()
    application.host.reset()
    assert shown() == 0
    assert start() is application and shown() == 4


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="these constants are immortal")
def test_signals_and_calls_do_not_free_the_constants(application: Any) -> None:
    """PySide6 takes a reference to True with each signal, to None with each call: the process ended in an abort."""

    class Source(QObject):
        sent = Signal(int)

    source = Source()
    for number in range(5000):
        source.sent.emit(number)
    assert min(sys.getrefcount(constant) for constant in (None, True, False)) > 1 << 31
