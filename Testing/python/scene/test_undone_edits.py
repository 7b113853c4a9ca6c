"""Results and findings are current again once their masks are again those that they are about, as after an undo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.graded_inputs import PARAMETER
from REACTKDLib.scene.grading import GradingController
from REACTKDLib.scene.mask_check import MaskChecker
from REACTKDLib.scene.segments import LABELMAP, choose_segments
from support.edits import ball, erase, mask_of, paint, segment_id_of
from support.reading_steps import PLACE
from support.script_runs import run
from support.worlds import linear_transform, rigid


@pytest.fixture
def graded(controller: GradingController, nodes: CaseNodes) -> CaseNodes:
    controller.grade(nodes)
    run(controller)
    assert not controller.masks_changed()
    return nodes


def drawn(nodes: CaseNodes, name: str = "Tumor", radius: float = 9.0) -> np.ndarray:
    """Paint a ball, and return the voxels that this added."""
    before = mask_of(nodes.segmentation, name, nodes.reference)
    paint(nodes.segmentation, name, ball(nodes.reference, PLACE, radius), nodes.reference)
    return mask_of(nodes.segmentation, name, nodes.reference) & ~before


def test_the_undo_of_the_segment_editor_makes_the_result_current(
    controller: GradingController, graded: CaseNodes
) -> None:
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(graded.segmentation.GetSegmentation())
    history.SaveState()
    assert drawn(graded).any() and controller.masks_changed()
    history.RestorePreviousState()
    assert not controller.masks_changed()
    history.RestoreNextState()
    assert controller.masks_changed()
    history.SetSegmentation(None)


@pytest.mark.parametrize("name", ["Tumor", "Liver"])
def test_voxels_erased_again_make_the_result_current(
    controller: GradingController, graded: CaseNodes, name: str
) -> None:
    added = drawn(graded, name, 60.0)
    assert added.any() and controller.masks_changed()
    erase(graded.segmentation, name, added, graded.reference)
    assert not controller.masks_changed()


def test_one_voxel_inside_or_outside_the_box_of_a_mask_is_a_change(
    controller: GradingController, graded: CaseNodes
) -> None:
    tumor = mask_of(graded.segmentation, "Tumor", graded.reference)
    inside, outside = (np.zeros_like(tumor) for _ in range(2))
    inside[tuple(np.argwhere(tumor)[0])] = True
    outside[0, 0, 0] = True
    assert not tumor[0, 0, 0]
    for change, back, where in ((erase, paint, inside), (paint, erase, outside)):
        change(graded.segmentation, "Tumor", where, graded.reference)
        assert controller.masks_changed()
        back(graded.segmentation, "Tumor", where, graded.reference)
        assert not controller.masks_changed()


def test_the_same_voxels_elsewhere_are_a_change(controller: GradingController, graded: CaseNodes, scene: Any) -> None:
    move = linear_transform(scene, rigid((0, 0, 0), (4.0, 0, 0)))
    graded.segmentation.SetAndObserveTransformNodeID(move.GetID())
    assert controller.masks_changed()
    graded.segmentation.SetAndObserveTransformNodeID(None)
    assert not controller.masks_changed()


def test_another_name_or_label_of_the_same_voxels(controller: GradingController, graded: CaseNodes) -> None:
    """A name may state that a segment is one lesion. The number of a label is no part of what was graded."""
    segment = graded.segmentation.GetSegmentation().GetSegment(segment_id_of(graded.segmentation, "Tumor"))
    image = segment.GetRepresentation(LABELMAP)
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    voxels[voxels == segment.GetLabelValue()] = 77
    segment.SetLabelValue(77)
    image.Modified()
    assert not controller.masks_changed()
    segment.SetName("Tumors")
    assert controller.masks_changed()
    segment.SetName("Tumor")
    assert not controller.masks_changed()


def test_a_segment_that_is_gone_is_a_change(controller: GradingController, graded: CaseNodes) -> None:
    graded.segmentation.GetSegmentation().RemoveSegment(segment_id_of(graded.segmentation, "Tumor"))
    assert controller.masks_changed()


def test_after_a_regrade_the_masks_before_it_are_a_change(controller: GradingController, graded: CaseNodes) -> None:
    added = drawn(graded)
    controller.regrade()
    run(controller)
    assert not controller.masks_changed()
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert controller.masks_changed()
    paint(graded.segmentation, "Tumor", added, graded.reference)
    assert not controller.masks_changed()


def test_what_was_compared_is_not_read_again(
    controller: GradingController, graded: CaseNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel asks many times per second."""
    from REACTKDLib.scene import known_masks

    read, compare = [], known_masks.same_masks
    monkeypatch.setattr(known_masks, "same_masks", lambda *given: read.append(1) or compare(*given))
    assert not controller.masks_changed() and read == []
    added = drawn(graded)
    assert controller.masks_changed() and controller.masks_changed() and read == [1]
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert not controller.masks_changed() and not controller.masks_changed() and read == [1, 1]


def test_a_region_is_left_out_after_an_undo_though_the_worker_has_ended(
    controller: GradingController, graded: CaseNodes
) -> None:
    controller.opened = replace(controller.opened, key=None)  # it is handed over again
    added = drawn(graded)
    erase(graded.segmentation, "Tumor", added, graded.reference)
    controller.what_if(mute=["Parenchyma"])
    run(controller)
    assert controller.error is None and controller.what_if_answer is not None and not controller.masks_changed()
    drawn(graded)
    controller.opened = replace(controller.opened, key=None)
    controller.what_if(mute=["Parenchyma"])
    run(controller)
    assert "have changed since this grade" in controller.error


def test_findings_are_current_again_once_their_masks_are(scene: Any, dispatcher: Any, nodes: CaseNodes) -> None:
    checker, choice = MaskChecker(scene, dispatcher), choose_segments(nodes.segmentation)
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(nodes.segmentation.GetSegmentation())
    history.SaveState()
    checker.check(nodes, choice)
    run(checker)
    assert checker.findings is not None and not checker.inputs_changed(nodes, choice)
    assert drawn(nodes).any() and checker.inputs_changed(nodes, choice)
    history.RestorePreviousState()
    assert not checker.inputs_changed(nodes, choice), "by the undo of the Segment Editor"
    added = drawn(nodes)
    assert checker.inputs_changed(nodes, choice)
    erase(nodes.segmentation, "Tumor", added, nodes.reference)
    assert not checker.inputs_changed(nodes, choice), "by erasing what was drawn"
    assert checker.inputs_changed(nodes, replace(choice, tumors=())), "other segments are others"
    history.SetSegmentation(None)
    checker.close()


def test_a_restored_result_is_current_again_once_its_masks_are(
    controller: GradingController, graded: CaseNodes, scene: Any, dispatcher: Any
) -> None:
    other = GradingController(scene, dispatcher)
    assert other.restore() and not other.masks_changed()
    added = drawn(graded)
    assert other.masks_changed()
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert not other.masks_changed()
    other.close()


def test_a_result_that_is_restored_amid_an_edit_is_current_again_once_that_is_undone(
    controller: GradingController, graded: CaseNodes, scene: Any, dispatcher: Any
) -> None:
    other, added = GradingController(scene, dispatcher), drawn(graded)
    assert other.restore() and other.masks_changed() and not other.opened.images_changed
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert not other.masks_changed()
    drawn(graded)
    assert other.masks_changed()
    other.close()


def test_a_restored_result_of_other_images_stays_outdated_whatever_is_drawn(
    controller: GradingController, graded: CaseNodes, scene: Any, dispatcher: Any
) -> None:
    voxels = slicer.util.arrayFromVolume(graded.reference)
    voxels[3, 4, 5] += 1
    slicer.util.arrayFromVolumeModified(graded.reference)
    other = GradingController(scene, dispatcher)
    assert other.restore() and other.opened.images_changed and not other.masks_changed()
    added = drawn(graded)
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert other.opened.images_changed and not other.masks_changed()
    other.close()


@pytest.mark.parametrize("record", ['[["tumor x", []]]', "[]", "{", '[["tumor Tumor True (1, 1, 1) 00", [[1.0]]]]'])
def test_a_record_that_cannot_be_read_leaves_the_result_outdated(
    controller: GradingController, graded: CaseNodes, scene: Any, dispatcher: Any, record: str
) -> None:
    """Such as of a later version."""
    controller.parameter_node.SetParameter(PARAMETER, record)
    other = GradingController(scene, dispatcher)
    assert other.restore() and other.masks_changed()
    added = drawn(graded)
    erase(graded.segmentation, "Tumor", added, graded.reference)
    assert other.masks_changed()
    other.close()
