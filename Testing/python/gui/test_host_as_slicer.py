"""Slicer behavior that a stand-in easily omits: the test host reproduces each of these."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from support.data_module import delete, move, names, set_folder, tree


def test_a_node_selector_loses_its_node_when_a_scene_is_imported(application: Any, tmp_path: Path) -> None:
    """Also after a failed import and after any other batch; the scene states have ended when the selector signals."""
    scene, told = slicer.mrmlScene, []
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(scene)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "a")
    assert scene.WriteToMRB(str(tmp_path / "added.mrb"))
    states = lambda: (scene.IsImporting(), scene.IsBatchProcessing())  # noqa: E731
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: told.append((node, *states())))
    (tmp_path / "bad.mrml").write_text("<MRML><no scene")
    url = scene.GetURL()
    for happen in (
        lambda: scene.ReadFromMRB(str(tmp_path / "added.mrb")),
        lambda: (scene.SetURL(str(tmp_path / "bad.mrml")), scene.Import(), scene.SetURL(url)),
        lambda: (scene.StartState(scene.BatchProcessState), scene.EndState(scene.BatchProcessState)),
    ):
        selector.setCurrentNode(volume)
        told.clear()
        happen()
        assert told == [(None, False, False)] and selector.currentNode() is None
    assert selector.nodeCount() == 2
    application.forget_errors()


def test_the_subject_hierarchy_has_an_item_for_each_visible_node_and_none_for_a_removed_one(
    application: Any, tmp_path: Path
) -> None:
    """A new node may have the address of a removed one, and VTK reports an item that is left of that."""
    scene = slicer.mrmlScene
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for kind in ("ScalarVolume", "Segmentation", "MarkupsFiducial", "Model", "Table", "Text", "LinearTransform"):
        for _again in range(20):
            node = scene.AddNewNodeByClass(f"vtkMRML{kind}Node")
            assert tree.GetItemParent(tree.GetItemByDataNode(node)) == tree.GetSceneItemID(), kind
            scene.RemoveNode(node)
    assert tree.GetNumberOfItems() == 0
    hidden = slicer.vtkMRMLScalarVolumeNode()
    hidden.HideFromEditorsOn()
    for node in (scene.AddNode(hidden), scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")):
        assert not tree.GetItemByDataNode(node)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "a")
    tree.SetItemParent(tree.GetItemByDataNode(volume), tree.CreateFolderItem(tree.GetSceneItemID(), "folder"))
    assert scene.WriteToMRB(str(tmp_path / "saved.mrb"))
    scene.Clear(0)
    assert scene.ReadFromMRB(str(tmp_path / "saved.mrb"))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    volume = slicer.util.getNode("a")
    assert tree.GetItemName(tree.GetItemParent(tree.GetItemByDataNode(volume))) == "folder"


def test_a_folder_with_an_eye_is_a_node_that_hides_what_is_in_it(application: Any) -> None:
    """It is the data node of the folder's item, so it is not listed again, and deleted with the folder."""
    scene = slicer.mrmlScene
    listed = scene.AddNewNodeByClass("vtkMRMLModelNode", "listed")
    listed.CreateDefaultDisplayNodes()
    told: list[int] = []
    listed.GetDisplayNode().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: told.append(1))
    folder = tree().CreateFolderItem(tree().GetSceneItemID(), "folder")
    move(listed, folder)
    set_folder(folder, visible=False, opacity=0.5)
    shown = slicer.vtkMRMLFolderDisplayNode.GetHierarchyVisibility
    assert told and not shown(listed) and listed.GetDisplayNode().GetVisibility()
    assert slicer.vtkMRMLFolderDisplayNode.GetHierarchyOpacity(listed) == 0.5
    scene.StartState(scene.BatchProcessState)
    scene.EndState(scene.BatchProcessState)
    assert names() == ["folder"] and names(folder) == ["listed"]
    delete(folder)
    assert names() == [] and listed.GetScene() is None
    assert not slicer.util.getNodesByClass("vtkMRMLFolderDisplayNode")


def test_python_is_a_launcher_whose_child_is_the_interpreter(application: Any) -> None:
    code = "import os, sys; print(os.getppid(), flush=True); sys.stdin.read()"
    launcher = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert Path(sys.executable).stem == "PythonSlicer"
    assert int(launcher.stdout.readline()) == launcher.pid, "the interpreter is a child, not the launcher itself"
    launcher.communicate("")
    assert launcher.returncode == 0


def test_an_installer_skips_in_testing_and_raises_what_slicers_raises(
    application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from packaging.requirements import Requirement

    if "REACTKD_SLICER_PYTHON" in os.environ:
        pytest.skip("Slicer's own asks in a dialog")
    wanted = [Requirement("einops>=999")]
    slicer.packaging.pip_ensure([Requirement("einops>=0.1")])
    slicer.packaging.pip_ensure(wanted)
    application.app.setTestingEnabled(False)
    try:
        with pytest.raises(subprocess.CalledProcessError):
            slicer.packaging.pip_ensure(wanted)
        monkeypatch.setattr(slicer.packaging, "refuse", True)
        with pytest.raises(RuntimeError, match="declined"):
            slicer.packaging.pip_ensure(wanted)
    finally:
        application.app.setTestingEnabled(True)


QUIET_MODULE = """
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
class Quiet(ScriptedLoadableModule):
    pass
class QuietWidget(ScriptedLoadableModuleWidget):
    calls = []
    def setup(self):
        self.calls.append("setup")
    def enter(self):
        self.calls.append("enter")
    def exit(self):
        self.calls.append("exit")
"""


def test_a_reload_sets_up_and_does_not_enter(application: Any, tmp_path: Path) -> None:
    (tmp_path / "Quiet.py").write_text(QUIET_MODULE, encoding="utf-8")
    module = application.load_module(tmp_path / "Quiet.py")
    try:
        application.select_module("Quiet")
        representation = module.widgetRepresentation()
        calls = representation.self().calls
        representation.reload()
        assert calls == ["setup", "enter", "setup"] and representation.isEntered
    finally:
        module.forget_panel()
        del application.modules["Quiet"], slicer.modules.quiet
        application.selected = ""


def test_the_views_display_the_names_of_their_volumes(application: Any) -> None:
    volume = slicer.util.addVolumeFromArray(np.zeros((20, 20, 20), np.int16), name="DOE^JANE")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    red = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    red.forceRender()
    assert red.cornerAnnotation().GetText(0) == "DOE^JANE" and red.cornerAnnotation().GetVisibility()
    renderers = list(red.renderWindow().GetRenderers())
    assert any(renderer.HasViewProp(red.cornerAnnotation()) for renderer in renderers)


def test_the_main_window_has_shortcuts_and_may_be_absent(application: Any) -> None:
    keys = {action.shortcut.toString() for action in slicer.util.mainWindow().actions()}
    assert {"Ctrl+P", "Ctrl+F", "Ctrl+3"} <= keys
    application.app.setNoMainWindow(True)
    try:
        assert slicer.util.mainWindow() is None and slicer.app.layoutManager() is None
        with pytest.raises(RuntimeError, match="main window"):
            slicer.util.selectModule("SegmentEditor")
        assert not slicer.util.showStatusMessage("nobody reads this")
    finally:
        application.app.setNoMainWindow(False)


def test_the_segment_editor_selects_nodes_when_it_is_entered(application: Any) -> None:
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(None)
    application.select_module("SegmentEditor")
    made = editor.segmentationNode()
    assert made.GetScene() is not None and made.GetSegmentation().GetNumberOfSegments() == 0, "none was there"
    slicer.mrmlScene.RemoveNode(made)
    first, second = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in "ab")
    application.select_module("SegmentEditor")
    assert editor.segmentationNode() is first
    editor.setSegmentationNode(second)
    application.select_module("SegmentEditor")
    assert editor.segmentationNode() is second


def test_enums_are_used_as_the_ints_that_they_are_in_pythonqt() -> None:
    """No enum is used in a way that an int does not support, nor compared by identity."""
    gui = Path(__file__).resolve().parents[3] / "REACTKD" / "REACTKDLib" / "gui"
    found = [
        f"{path.name}:{line}" for path in sorted(gui.glob("*.py")) for line in beyond_ints(path.read_text("utf-8"))
    ]
    assert found == []
    assert beyond_ints("qt.Qt.Checked.value\nstate is qt.Qt.Checked\nstate == qt.Qt.Checked\nqt.QTimer.singleShot") == [
        1,
        2,
    ]


def beyond_ints(source: str) -> list[int]:
    """Lines that read `.value` or `.name` of something in qt, or compare with it by identity."""

    def of_qt(node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and ast.unparse(node).startswith("qt.")

    lines = []
    for node in ast.walk(ast.parse(source)):
        asks = isinstance(node, ast.Attribute) and node.attr in ("value", "name") and of_qt(node.value)
        same = isinstance(node, ast.Compare) and any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops)
        if asks or (same and any(map(of_qt, [node.left, *node.comparators]))):
            lines.append(node.lineno)
    return sorted(lines)


def test_a_module_adds_a_layout_whose_views_are_made_when_it_is_shown(application: Any) -> None:
    manager, scene = slicer.app.layoutManager(), slicer.mrmlScene
    before, names = manager.layout, manager.sliceViewNames()
    view = '<view class="{}" singletontag="{}"><property name="orientation" action="default">Sagittal</property></view>'
    parts = ("vtkMRMLSliceNode", "Mine"), ("vtkMRMLSliceNode", "Red")
    items = "".join(f"<item>{view.format(*part)}</item>" for part in parts)
    assert (
        manager.layoutLogic().GetLayoutNode().AddLayoutDescription(4711, f'<layout type="horizontal">{items}</layout>')
    )
    manager.setLayout(4711)
    mine, red, green = map(manager.sliceWidget, ("Mine", "Red", "Green"))
    assert mine.mrmlSliceNode() is scene.GetSingletonNode("Mine", "vtkMRMLSliceNode")
    assert mine.mrmlSliceNode().GetOrientation() == "Sagittal" and red.mrmlSliceNode().GetOrientation() == "Axial"
    assert [widget.isVisible() for widget in (mine, red, green, manager.threeDWidget(0))] == [True, True, False, False]
    assert [widget.mrmlSliceNode().IsMappedInLayout() for widget in (mine, red, green)] == [True, True, False]
    for widget in (mine, red):  # linked: same view group, both with linked control, and the same orientation
        widget.mrmlSliceCompositeNode().SetLinkedControl(True)
        widget.mrmlSliceNode().SetOrientation("Axial")
    logic = mine.sliceLogic()
    logic.StartSliceOffsetInteraction()
    logic.SetSliceOffset(17.0)
    logic.EndSliceOffsetInteraction()
    assert red.sliceLogic().GetSliceOffset() == pytest.approx(17.0)
    manager.setLayout(before)
    assert [widget.isVisible() for widget in (mine, red, green, manager.threeDWidget(0))] == [False, True, True, True]
    red.mrmlSliceCompositeNode().SetLinkedControl(False)
    scene.RemoveNode(mine.mrmlSliceNode())
    assert manager.sliceViewNames() == names
