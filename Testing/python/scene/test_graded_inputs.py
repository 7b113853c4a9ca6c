"""A restored answer knows whether the current masks and images are those that were graded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.modality import Modality
from REACTKDLib.scene import voxel_digest as voxels
from REACTKDLib.scene.case import CaseNodes, read_case
from REACTKDLib.scene.drawn_segments import segments_stamp
from REACTKDLib.scene.graded_inputs import PARAMETER
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.opened_case import OpenedCase
from REACTKDLib.scene.parameter_node import parameter_nodes
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import choose_segments
from REACTKDLib.scene.session import SceneSession
from support.edits import ball, erase, mask_of, paint
from support.reading_steps import PLACE
from support.scene_cases import HandMadeGrader, make_result
from support.scene_files import load_scene, save_scene
from support.script_runs import run
from support.worlds import linear_transform, rigid


@pytest.fixture
def graded(scene: Any, nodes: CaseNodes) -> CaseNodes:
    """The hand-made case with an answer in the scene."""
    SceneSession(scene, nodes, HandMadeGrader()).grade()
    return nodes


def draw(nodes: CaseNodes) -> None:
    """Paint a ball of tumor."""
    paint(nodes.segmentation, "Tumor", ball(nodes.reference, PLACE, 9.0), nodes.reference)


def changes(controller: GradingController) -> tuple[bool, bool]:
    """Return whether masks and images have changed since they were graded, which the panel says in words."""
    return controller.opened.masks_changed, controller.opened.images_changed


def test_a_restored_result_is_outdated_after_an_edit(controller: GradingController, graded: CaseNodes) -> None:
    assert controller.restore() and not controller.masks_changed()
    controller.leave()
    tumor = mask_of(graded.segmentation, "Tumor", graded.reference)
    draw(graded)
    assert controller.restore() and controller.masks_changed()
    controller.leave()
    erase(graded.segmentation, "Tumor", ~tumor, graded.reference)
    assert controller.restore() and not controller.masks_changed(), "drawn as it was"


@pytest.mark.parametrize("overlapping", [True, False])
def test_saving_the_scene_is_no_edit(
    controller: GradingController, scene: Any, graded: CaseNodes, tmp_path: Path, overlapping: bool
) -> None:
    """Slicer copies the layers of overlapping segments each time, and merges those that do not overlap."""
    data = graded.segmentation.GetSegmentation()
    if not overlapping:
        erase(graded.segmentation, "Liver", mask_of(graded.segmentation, "Tumor", graded.reference), graded.reference)
        SceneSession(scene, graded, HandMadeGrader()).grade()
    assert data.GetNumberOfLayers() == 2 and controller.restore()
    stamp, image = segments_stamp(graded.segmentation), data.GetSegment("Tumor").GetRepresentation("Binary labelmap")
    for name in ("first", "second"):
        save_scene(scene, tmp_path / f"{name}.mrb")
        assert data.GetSegment("Tumor").GetRepresentation("Binary labelmap") is not image or not overlapping
        assert not controller.masks_changed() and segments_stamp(graded.segmentation) == stamp
    assert data.GetNumberOfLayers() == (2 if overlapping else 1)
    draw(graded)
    assert controller.masks_changed() and segments_stamp(graded.segmentation) != stamp


def test_an_image_in_place_of_another_is_an_edit_if_it_differs(graded: CaseNodes) -> None:
    """By one voxel, or by its position; the images of an undo differ from those that were drawn on."""
    data = graded.segmentation.GetSegmentation()
    stamp, segment = segments_stamp(graded.segmentation), data.GetSegment("Tumor")
    before = segment.GetRepresentation("Binary labelmap")

    def put_in_place(change: Any) -> None:
        image = slicer.vtkOrientedImageData()
        image.DeepCopy(before)
        change(image)
        segment.AddRepresentation("Binary labelmap", image)

    def one_voxel(image: Any) -> None:
        voxels = vtk_to_numpy(image.GetPointData().GetScalars())
        voxels[voxels.argmax()] = 0

    for change in (one_voxel, lambda image: image.SetOrigin(1.0, 2.0, 3.0)):
        put_in_place(change)
        assert segments_stamp(graded.segmentation) != stamp
    put_in_place(lambda image: None)
    assert segments_stamp(graded.segmentation) == stamp


def test_surface_only_masks_are_watched_too(nodes: CaseNodes) -> None:
    """As loaded from a DICOM structure set: there is no label map whose modification could be observed."""
    data = nodes.segmentation.GetSegmentation()
    data.CreateRepresentation("Closed surface")
    data.SetSourceRepresentationName("Closed surface")
    data.RemoveRepresentation("Binary labelmap")
    choice = choose_segments(nodes.segmentation)
    opened = OpenedCase.stored(HandMadeGrader().open(read_case(nodes, choice)).grade().report, nodes, choice)
    drawn = segments_stamp(nodes.segmentation)
    assert not opened.masks_changed and segments_stamp(nodes.segmentation) == drawn
    surface = data.GetSegment(choice.tumors[0]).GetRepresentation("Closed surface")
    points = vtk_to_numpy(surface.GetPoints().GetData())
    points += (6.0, 0.0, 0.0)
    surface.GetPoints().Modified()
    surface.Modified()
    assert opened.masks_changed and segments_stamp(nodes.segmentation) != drawn


@pytest.mark.parametrize("edited", [False, True])
def test_a_loaded_scene_detects_whether_its_masks_were_graded(
    controller: GradingController, scene: Any, graded: CaseNodes, tmp_path: Path, edited: bool
) -> None:
    if edited:
        draw(graded)
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    assert controller.report is not None and changes(controller) == (edited, False)


def test_an_image_that_was_moved_since_makes_the_answer_outdated(
    controller: GradingController, scene: Any, graded: CaseNodes
) -> None:
    move = linear_transform(scene, rigid((0, 0, 8), (6, 0, 0)))
    graded.volumes[Modality.FDG].SetAndObserveTransformNodeID(move.GetID())
    assert controller.restore() and changes(controller) == (False, True)


def add_to_voxel(node: Any, value: float) -> None:
    """Change one voxel, in place or by another image of the same kind."""
    slicer.util.arrayFromVolume(node)[3, 4, 5] += value
    slicer.util.arrayFromVolumeModified(node)


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("graded_by", ["script", "panel"])
def test_other_voxels_of_an_image_make_the_answer_outdated(
    controller: GradingController, nodes: CaseNodes, scene: Any, modality: Modality, graded_by: str
) -> None:
    """Edited while the case was put aside: neither unit nor size nor position changes."""
    if graded_by == "panel":
        controller.grade(nodes)
        run(controller)
        controller.leave()
    else:
        SceneSession(scene, nodes, HandMadeGrader()).grade()
    assert controller.restore() and changes(controller) == (False, False)
    controller.leave()
    add_to_voxel(nodes.volumes[modality], 1)
    assert controller.restore() and changes(controller) == (False, True)
    controller.leave()
    add_to_voxel(nodes.volumes[modality], -1)
    assert controller.restore() and changes(controller) == (False, False), "as it was"


@pytest.mark.parametrize("edited", [False, True])
def test_a_loaded_scene_detects_whether_its_images_were_graded(
    controller: GradingController, scene: Any, graded: CaseNodes, tmp_path: Path, edited: bool
) -> None:
    if edited:
        add_to_voxel(graded.volumes[Modality.ACETATE], 1)
    save_scene(scene, tmp_path / "scene.mrb")
    load_scene(scene, tmp_path / "scene.mrb")
    assert controller.report is not None and changes(controller) == (False, edited)


def test_voxels_are_read_again_only_after_a_change(
    controller: GradingController, graded: CaseNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case of hundreds of megabytes is compared each time it is returned to."""
    assert controller.restore()
    read = []
    voxels_of = voxels.voxels_of
    monkeypatch.setattr(voxels, "voxels_of", lambda node, *role: read.append(node) or voxels_of(node, *role))
    assert controller.restore() and read == []
    add_to_voxel(graded.volumes[Modality.FDG], 1)
    assert controller.restore() and read == [graded.volumes[Modality.FDG]]


def test_a_regrade_keeps_the_record_of_the_images(controller: GradingController, nodes: CaseNodes) -> None:
    controller.grade(nodes)
    run(controller)
    draw(nodes)
    controller.regrade()
    run(controller)
    controller.leave()
    assert controller.restore() and not controller.masks_changed()


def test_a_result_from_the_scene_that_is_opened_again_has_a_record_of_the_images(
    controller: GradingController, nodes: CaseNodes
) -> None:
    """A grade without a region hands the case over. A later grade of edited masks recorded no image, and the next
    session showed it as outdated.
    """
    controller.grade(nodes)
    run(controller)
    controller.leave()
    assert controller.restore()
    controller.what_if(mute=["Parenchyma"])
    run(controller)
    draw(nodes)
    controller.regrade()
    run(controller)
    assert controller.error is None
    controller.leave()
    assert controller.restore() and not controller.masks_changed()


@pytest.mark.parametrize("text", ["[", "7", "[]", "[1]", '[["CT", 7]]', '[["CT", "x"]]'])
def test_a_damaged_record_makes_the_result_outdated(
    controller: GradingController, scene: Any, graded: Any, text: str
) -> None:
    parameter_nodes(scene)[0].SetParameter(PARAMETER, text)
    assert controller.restore() and changes(controller) == (True, True)


def test_a_scene_of_an_earlier_version_records_nothing_and_is_shown_as_it_is(
    controller: GradingController, scene: Any, graded: Any
) -> None:
    parameter_nodes(scene)[0].UnsetParameter(PARAMETER)
    assert controller.restore() and changes(controller) == (False, False)


def test_an_edit_while_the_result_is_drawn_makes_it_outdated(controller: GradingController, nodes: CaseNodes) -> None:
    controller.grade(nodes)
    run(controller, until=lambda: controller.report is not None)
    assert controller.busy
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    draw(nodes)
    run(controller)
    assert controller.state is RunState.IDLE and controller.masks_changed()
    controller.leave()
    assert controller.restore() and controller.masks_changed()
    controller.leave()
    erase(nodes.segmentation, "Tumor", ~tumor, nodes.reference)
    assert controller.restore() and not controller.masks_changed(), "drawn as it was handed over"


def test_what_if_of_masks_that_were_edited_since_is_refused(controller: GradingController, graded: CaseNodes) -> None:
    controller.restore()
    draw(graded)
    controller.what_if(mute=["Lesion 1"])
    run(controller)
    assert controller.state is RunState.FAILED and "grade again" in controller.error
    assert controller.what_if_answer is None and controller.masks_changed()


@pytest.mark.parametrize("changed", [(True, False), (False, True)], ids=["masks", "images"])
def test_what_if_of_a_stored_answer_to_other_masks_or_images_is_refused(
    controller: GradingController, nodes: CaseNodes, case: Any, changed: tuple[bool, bool]
) -> None:
    report = make_result(case).report
    stored = OpenedCase.stored(report, nodes, choose_segments(nodes.segmentation))
    controller.show_stored(report, stored.with_changes(*changed))
    assert controller.masks_changed() is changed[0]
    controller.what_if(mute=["Lesion 1"])
    run(controller)
    assert controller.state is RunState.FAILED and controller.what_if_answer is None


def test_what_if_of_a_reopened_case_still_detects_new_segments(controller: GradingController, nodes: CaseNodes) -> None:
    controller.grade(nodes)
    run(controller)
    controller.dispatcher.client.end()  # the case is lost with the process
    controller.what_if(mute=["Lesion 1"])
    run(controller)
    assert controller.what_if_answer is not None and not controller.masks_changed(), controller.error
    nodes.segmentation.GetSegmentation().AddEmptySegment("second", "Tumor 2", [1.0, 0.0, 0.0])
    assert controller.masks_changed()
