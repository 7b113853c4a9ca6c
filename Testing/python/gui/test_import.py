"""A scene is added to the open one: the current case, its answer and its running grading stay as they are."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from REACTKDLib.core.modality import Modality
from support.panel_steps import GRADE_S, grade, probabilities, wait_for_grade, wait_for_inputs
from support.scene_files import save_scene

SELECTORS = {"ctSelector": Modality.CT, "fdgSelector": Modality.FDG, "acetateSelector": Modality.ACETATE}


@pytest.fixture
def guest(scene: Any, nodes: Any, tmp_path: Path) -> str:
    """A saved scene with another case: the same images, imported as separate nodes, and its own selections."""
    save_scene(scene, tmp_path / "guest.mrb")
    return str(tmp_path / "guest.mrb")


def add(path: str) -> None:
    slicer.util.loadScene(path, {"clear": False})


def pause(user: Any) -> None:
    """Wait until the panel has processed the imported nodes; it waits for further nodes, but for less than this."""
    end = time.monotonic() + 0.15
    user.wait_until(lambda: time.monotonic() > end, what="the clock")


def nonsense(_path: str) -> None:
    """An import that fails."""
    scene, url = slicer.mrmlScene, slicer.mrmlScene.GetURL()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bad.mrml"
        path.write_text("<MRML><no scene at all", encoding="utf-8")
        scene.SetURL(str(path))
        assert not scene.Import()
    scene.SetURL(url)


def some_batch(_path: str) -> None:
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.BatchProcessState)


def at_hand(user: Any) -> dict[str, Any]:
    """What the panel says about the case: its inputs, its answer, its state."""
    names = (*SELECTORS, "segmentationSelector")
    told = {name: user.find(name).currentNode() for name in names}
    told |= {name: user.text(name) for name in ("gradeLabel", "detailsLabel")}
    return {**told, "state": user.sees("stateLabel") and user.text("stateLabel"), "bars": probabilities(user)}


def test_an_import_keeps_inputs_result_and_a_running_grading(
    application: Any, user: Any, nodes: Any, guest: str, context: Any, worker: Any
) -> None:
    grade(user)
    before, rows = at_hand(user), user.rows("regionTable")
    for happen in (nonsense, some_batch, add):
        happen(guest)
        application.forget_errors()  # VTK's errors about a file that is not a scene
        pause(user)
        assert at_hand(user) == before and user.rows("regionTable") == rows, happen.__name__
        for name, modality in SELECTORS.items():
            assert user.find(name).currentNode() is nodes.volumes[modality], happen.__name__

    shares = probabilities(user)
    slicer.mrmlScene.RemoveNode(context.parameter_node)
    context.controller.leave()
    with worker.answers_unread() as unread:
        user.click("gradeButton")
        user.wait_until(lambda: context.busy and unread, GRADE_S, "the worker's answer")
        add(guest)
        assert context.busy
    wait_for_grade(user)
    assert probabilities(user) == shares
    assert user.find("segmentationSelector").currentNode() is nodes.segmentation


def test_a_deselected_image_is_not_taken_from_the_imported_scene(user: Any, nodes: Any, guest: str) -> None:
    user.open_section("inputsSection")
    user.choose("fdgSelector", None)
    add(guest)
    pause(user)
    assert user.find("fdgSelector").currentNode() is None
    assert user.find("ctSelector").currentNode() is nodes.volumes[Modality.CT]


def test_a_choice_after_an_import_changes_nothing_else(user: Any, nodes: Any, guest: str) -> None:
    add(guest)
    user.open_section("inputsSection")
    user.choose("acetateSelector", None)
    chosen = {name: user.find(name).currentNode() for name in SELECTORS}
    assert chosen == {
        "ctSelector": nodes.volumes[Modality.CT],
        "fdgSelector": nodes.volumes[Modality.FDG],
        "acetateSelector": None,
    }
    assert user.find("gradeButton").enabled


def test_without_an_open_case_the_imported_one_is_selected(
    user: Any, scene: Any, phantom_nodes: Any, tmp_path: Path
) -> None:
    from REACTKDLib.scene.panel_state import PanelState

    wait_for_inputs(user, phantom_nodes)
    scene.RemoveNode(PanelState.of(scene).node)  # a scene that was saved without this module
    save_scene(scene, tmp_path / "guest.mrb")
    scene.Clear(0)
    add(str(tmp_path / "guest.mrb"))
    selector = user.find("segmentationSelector")
    user.wait_until(lambda: selector.currentNode() is not None, what="recognition")
    assert user.find("ctSelector").currentNode().GetName() == "CT" and user.find("gradeButton").enabled


def test_an_import_in_another_module_keeps_the_case(application: Any, user: Any, nodes: Any, guest: str) -> None:
    application.select_module("SegmentEditor")
    add(guest)
    application.select_module("REACTKD")
    assert user.find("segmentationSelector").currentNode() is nodes.segmentation
    assert user.find("ctSelector").currentNode() is nodes.volumes[Modality.CT]


# Last in this file: after a scene is closed and another is imported, this host puts later nodes into no hierarchy, and
# VTK reports errors when such a scene is saved and added to another.
def test_an_imported_result_is_not_shown_for_another_case(user: Any, nodes: Any, tmp_path: Path) -> None:
    grade(user)
    save_scene(slicer.mrmlScene, tmp_path / "graded.mrb")
    slicer.mrmlScene.Clear(0)
    own = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16), name="another patient")
    user.open_section("inputsSection")
    user.choose("ctSelector", own)
    add(str(tmp_path / "graded.mrb"))
    pause(user)
    assert user.find("ctSelector").currentNode() is own
    assert user.find("segmentationSelector").currentNode() is None and user.find("fdgSelector").currentNode() is None
    assert not user.sees("gradeLabel") and not user.find("gradeButton").enabled
