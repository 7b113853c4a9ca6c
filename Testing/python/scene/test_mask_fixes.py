"""Fixes are made on a copy: the user's segmentation stays byte-identical until one is accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.fixes import split_lesions
from REACTKDLib.scene.case import CaseNodes, nodes_from_case
from REACTKDLib.scene.proposed_changes import ProposedChanges
from REACTKDLib.scene.script_runner import RunState
from REACTKDLib.scene.segments import SegmentChoice, choose_segments, mask_on
from REACTKDLib.scene.terminology import codes_of
from REACTKDLib.scene.volumes import ijk_to_ras_of
from support.edits import erase, mask_of, paint
from support.kidney_phantoms import KIDNEY
from support.script_runs import run
from support.worlds import linear_transform, rigid


def bytes_of(segmentation) -> dict[str, bytes]:
    """The stored bytes of every segment."""
    data = segmentation.GetSegmentation()
    stored = {}
    for segment_id in data.GetSegmentIDs():
        image = slicer.vtkOrientedImageData()
        segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
        scalars = image.GetPointData().GetScalars()
        stored[segment_id] = b"" if scalars is None else np.asarray(scalars).tobytes()
    return stored


def voxels_of(segmentation, choice: SegmentChoice, reference) -> tuple[np.ndarray, np.ndarray]:
    return mask_on(segmentation, choice.livers, reference), mask_on(segmentation, choice.tumors, reference)


def with_stray_lesion(nodes: CaseNodes) -> tuple[np.ndarray, Finding]:
    """Paint a lesion in a corner of the image; return it with its finding."""
    stray = np.zeros(mask_of(nodes.segmentation, "Tumor", nodes.reference).shape, bool)
    stray[1:4, 1:5, 1:6] = True
    paint(nodes.segmentation, "Tumor", stray, nodes.reference)
    matrix = ijk_to_ras_of(nodes.reference)
    place = (matrix @ [3.0, 2.5, 2.0, 1.0])[:3]
    return stray, Finding("lesion-outside-liver", "warning", "A lesion lies outside.", tuple(place))


def test_a_fix_is_proposed_accepted_and_undone(fixer, nodes):
    tumor_before = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    stray, finding = with_stray_lesion(nodes)
    choice, before, count = choose_segments(nodes.segmentation), bytes_of(nodes.segmentation), nodes_in(fixer.scene)
    told = []
    fixer.proposal_changed.connect(told.append)
    fixer.accepted.connect(lambda choice: told.append(choice))
    fixer.propose(nodes, choice, finding)
    run(fixer)
    proposal = fixer.proposal
    assert fixer.error is None and told == [proposal] and proposal.text == "Erase this lesion"
    assert proposal.milliliters == pytest.approx(stray.sum() * 2.2 * 2.3 * 3.0 / 1000)
    assert bytes_of(nodes.segmentation) == before
    assert np.array_equal(mask_of(proposal.node, "Tumor", nodes.reference), tumor_before)
    liver, _ = voxels_of(nodes.segmentation, choice, nodes.reference)
    assert np.array_equal(voxels_of(proposal.node, choice, nodes.reference)[0], liver)
    fixer.accept()
    assert nodes_in(fixer.scene) == count and told[1:] == [None, choice]
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor_before)
    fixer.undo()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor_before | stray)
    assert np.array_equal(mask_of(nodes.segmentation, "Liver", nodes.reference), liver)
    assert not fixer.can_undo
    with pytest.raises(UsageError):
        fixer.undo()


def nodes_in(scene) -> int:
    """Number of nodes, except those left by the Slicer function behind `mask_of`."""
    return scene.GetNumberOfNodes() - scene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode")


def test_a_rejected_fix_leaves_every_byte(fixer, nodes):
    _, finding = with_stray_lesion(nodes)
    before, count = bytes_of(nodes.segmentation), nodes_in(fixer.scene)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    fixer.reject()
    assert bytes_of(nodes.segmentation) == before and nodes_in(fixer.scene) == count and not fixer.can_undo


def test_undo_keeps_what_was_painted_elsewhere_meanwhile(fixer, nodes):
    stray, finding = with_stray_lesion(nodes)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    fixer.accept()
    more = np.roll(stray, 20, axis=2)
    paint(nodes.segmentation, "Tumor", more, nodes.reference)
    now = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    fixer.undo()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), now | stray)


def test_a_fix_of_a_corrected_fault_is_refused(fixer, nodes):
    stray, finding = with_stray_lesion(nodes)
    erase(nodes.segmentation, "Tumor", stray, nodes.reference)
    count = nodes_in(fixer.scene)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    assert fixer.state is RunState.FAILED and "any more" in fixer.error and fixer.proposal is None
    assert nodes_in(fixer.scene) == count


def test_the_tumor_is_added_to_one_segment_of_the_liver(fixer, nodes):
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    erase(nodes.segmentation, "Liver", tumor, nodes.reference)
    assert not (mask_of(nodes.segmentation, "Liver", nodes.reference) & tumor).any()
    fixer.propose(nodes, choose_segments(nodes.segmentation), Finding("tumor-added-to-liver", "info", ""))
    run(fixer)
    fixer.accept()
    assert (mask_of(nodes.segmentation, "Liver", nodes.reference) & tumor).sum() == tumor.sum()
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor)


def test_a_split_into_lesions_can_be_undone(fixer, nodes):
    tumor, before = mask_of(nodes.segmentation, "Tumor", nodes.reference), bytes_of(nodes.segmentation)
    choice = choose_segments(nodes.segmentation)
    fixer.split(nodes, choice, "Tumor")
    run(fixer)
    assert fixer.error is None and bytes_of(nodes.segmentation) == before
    fixer.accept()
    segments = nodes.segmentation.GetSegmentation()
    assert list(segments.GetSegmentIDs()) == ["Liver", "Tumor", "Lesion_2", "Lesion_3"]
    now = choose_segments(nodes.segmentation)
    assert now.tumors == ("Tumor", "Lesion_2", "Lesion_3")
    sizes = [int(mask_on(nodes.segmentation, [i], nodes.reference).sum()) for i in now.tumors]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == tumor.sum()
    assert np.array_equal(mask_on(nodes.segmentation, now.tumors, nodes.reference), tumor)
    fixer.undo()
    assert list(segments.GetSegmentIDs()) == ["Liver", "Tumor"]
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor)
    fixer.split(nodes, choice, "Tumor")
    run(fixer)
    fixer.accept()
    fixer.split(nodes, now, "Lesion_2")
    run(fixer)
    assert fixer.state is RunState.FAILED and "one lesion" in fixer.error


def test_undo_keeps_what_was_drawn_in_a_new_segment_meanwhile(fixer, nodes):
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    fixer.split(nodes, choose_segments(nodes.segmentation), "Tumor")
    run(fixer)
    fixer.accept()
    stray = np.zeros(tumor.shape, bool)
    stray[1:4, 1:5, 1:6] = True
    paint(nodes.segmentation, "Lesion 2", stray, nodes.reference)
    told = []
    fixer.undone.connect(told.append)
    fixer.undo()
    assert list(nodes.segmentation.GetSegmentation().GetSegmentIDs()) == ["Liver", "Tumor", "Lesion_2"]
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor)
    assert np.array_equal(mask_of(nodes.segmentation, "Lesion 2", nodes.reference), stray)
    assert told == [choose_segments(nodes.segmentation)] and told[0].tumors == ("Tumor", "Lesion_2")


def test_a_split_whose_new_segment_was_removed_can_be_undone(fixer, nodes):
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    fixer.split(nodes, choose_segments(nodes.segmentation), "Tumor")
    run(fixer)
    fixer.accept()
    nodes.segmentation.GetSegmentation().RemoveSegment("Lesion_2")
    fixer.undo()
    assert list(nodes.segmentation.GetSegmentation().GetSegmentIDs()) == ["Liver", "Tumor"]
    assert np.array_equal(mask_of(nodes.segmentation, "Tumor", nodes.reference), tumor)


def test_a_fix_of_a_removed_segment_is_neither_accepted_nor_undone_partially(fixer, nodes):
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    data, second = nodes.segmentation.GetSegmentation(), np.roll(tumor, 8, axis=2)
    data.AddEmptySegment("Tumor 2", "Tumor 2")
    paint(nodes.segmentation, "Tumor 2", second & ~tumor, nodes.reference)
    choice = choose_segments(nodes.segmentation)
    fixer.split(nodes, choice)
    run(fixer)
    removed = slicer.vtkSegment()
    removed.DeepCopy(data.GetSegment("Tumor 2"))
    data.RemoveSegment("Tumor 2")
    before = bytes_of(nodes.segmentation)
    fixer.accept()
    assert fixer.state is RunState.FAILED and "is gone; reject the fix" in fixer.error
    assert bytes_of(nodes.segmentation) == before and fixer.proposal is not None and not fixer.can_undo
    data.AddSegment(removed, "Tumor 2")
    fixer.accept()
    assert fixer.state is RunState.IDLE and fixer.can_undo
    data.RemoveSegment("Tumor 2")
    after = bytes_of(nodes.segmentation)
    fixer.undo()
    assert fixer.state is RunState.FAILED and "is gone" in fixer.error
    assert bytes_of(nodes.segmentation) == after and fixer.can_undo


def test_lesions_of_another_organ_get_its_codes(fixer, nodes):
    fixer.split(nodes, replace(choose_segments(nodes.segmentation), task=KIDNEY), "Tumor")
    run(fixer)
    fixer.accept()
    segments = nodes.segmentation.GetSegmentation()
    new = list(segments.GetSegmentIDs())[2:]
    assert len(new) == 2
    assert [codes_of(segments.GetSegment(i)) for i in new] == [(("SCT", "4147007"), ("SCT", "64033007"))] * 2


def test_every_tumor_segment_is_split(fixer, nodes):
    """Two tumor segments: one lesion of the first moves to the second segment, next to another stray lesion."""
    tumor = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    largest, *others = split_lesions(tumor)
    erase(nodes.segmentation, "Tumor", others[1], nodes.reference)
    nodes.segmentation.GetSegmentation().AddEmptySegment("Tumor 2", "Tumor 2")
    far = np.roll(others[1], 3 * int(np.ptp(np.argwhere(others[1])[:, 2]) + 2), axis=2)
    far &= mask_of(nodes.segmentation, "Liver", nodes.reference) & ~tumor
    assert far.any()
    paint(nodes.segmentation, "Tumor 2", others[1] | far, nodes.reference)
    choice = choose_segments(nodes.segmentation)
    fixer.split(nodes, choice)
    run(fixer)
    fixer.accept()
    now = choose_segments(nodes.segmentation)
    pieces = [mask_on(nodes.segmentation, [i], nodes.reference) for i in now.tumors]
    assert len(pieces) == len(split_lesions(tumor)) + len(split_lesions(far)) == len(set(now.tumors))
    assert all(len(split_lesions(piece)) == 1 for piece in pieces)
    assert np.array_equal(np.any(pieces, axis=0), tumor | far)
    fixer.undo()
    assert choose_segments(nodes.segmentation).tumors == choice.tumors


def test_under_a_transform_the_same_voxels_change(fixer, nodes):
    move = linear_transform(fixer.scene, rigid((10, -20, 30), (5, 6, -7)))
    stray, finding = with_stray_lesion(nodes)
    for node in nodes.all():
        node.SetAndObserveTransformNodeID(move.GetID())
    before = mask_on(nodes.segmentation, ["Tumor"], nodes.reference)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    fixer.accept()
    assert np.array_equal(mask_on(nodes.segmentation, ["Tumor"], nodes.reference), before & ~stray)


def test_segments_on_another_grid_lose_only_the_removed_lesion(fixer, nodes, case):
    fine, matrix = case.tumor.repeat(2, axis=2), case.reference.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, 0] / 4
    matrix[:3, 0] /= 2
    other = slicer.util.addVolumeFromArray(fine.astype(np.uint8), ijkToRAS=matrix, name="fine")
    data = nodes.segmentation.GetSegmentation()
    data.RemoveSegment("Tumor")
    nodes.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(other)
    data.AddEmptySegment("Tumor", "Tumor", [1, 0, 0])
    slicer.util.updateSegmentBinaryLabelmapFromArray(fine.astype(np.uint8), nodes.segmentation, "Tumor", other)
    stray, finding = with_stray_lesion(nodes)
    before = mask_on(nodes.segmentation, ["Tumor"], nodes.reference)
    assert (before & stray).sum() == stray.sum()
    fixer.propose(nodes, choose_segments(nodes.segmentation, "Liver", "Tumor"), finding)
    run(fixer)
    assert fixer.error is None
    fixer.accept()
    after = mask_on(nodes.segmentation, ["Tumor"], nodes.reference)
    assert np.array_equal(after, before & ~stray)


@pytest.mark.parametrize("moved", ["masks", "image"])
@pytest.mark.parametrize("since", ["proposed", "accepted"])
def test_the_same_voxels_change_although_masks_or_image_were_moved_since(fixer, nodes, since, moved):
    before = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    stray, finding = with_stray_lesion(nodes)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    if since == "accepted":
        fixer.accept()
    move = linear_transform(fixer.scene, rigid((0, 0, 0), (20, 0, 0)))
    node = nodes.segmentation if moved == "masks" else nodes.reference
    node.SetAndObserveTransformNodeID(move.GetID())
    changes = ProposedChanges(fixer.scene)
    if fixer.proposal is not None:
        changes.show(fixer.proposal)
        changes.follow()
        for copy in (fixer.proposal.node, changes.node):
            assert copy.GetTransformNodeID() == nodes.segmentation.GetTransformNodeID()
        changes.clear()
    fixer.accept() if since == "proposed" else fixer.undo()
    node.SetAndObserveTransformNodeID(None)
    after = mask_of(nodes.segmentation, "Tumor", nodes.reference)
    assert fixer.error is None and np.array_equal(after, before if since == "proposed" else before | stray)


@pytest.mark.parametrize("since", ["proposed", "accepted"])
def test_a_fix_of_masks_that_were_hardened_elsewhere_is_refused_with_a_sentence(fixer, nodes, since):
    _, finding = with_stray_lesion(nodes)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    run(fixer)
    if since == "accepted":
        fixer.accept()
    move = linear_transform(fixer.scene, rigid((0, 0, 0), (20, 0, 0)))
    nodes.segmentation.SetAndObserveTransformNodeID(move.GetID())
    nodes.segmentation.HardenTransform()
    before = bytes_of(nodes.segmentation)
    fixer.accept() if since == "proposed" else fixer.undo()
    assert bytes_of(nodes.segmentation) == before
    assert fixer.error.startswith(f"The masks were moved or resampled since this fix was {since};")
    fixer.forget_outdated_error()
    assert fixer.error is not None, "it is still true"
    nodes.segmentation.GetSegmentation().RemoveSegment("Tumor")  # the panel then asks again whether it is
    fixer.forget_outdated_error()
    assert fixer.error is None
    fixer.accept() if since == "proposed" else fixer.undo()
    assert fixer.error.startswith("A segment that this fix change")


def test_a_fix_is_undone_in_its_own_segmentation_even_after_another_case(fixer, nodes, case):
    other = nodes_from_case(fixer.scene, case)
    for each in (nodes, other):
        stray, finding = with_stray_lesion(each)
        fixer.leave(each.segmentation)
        assert not fixer.can_undo
        fixer.propose(each, choose_segments(each.segmentation), finding)
        run(fixer)
        fixer.accept()
    for each in (nodes, other):
        fixer.leave(each.segmentation)
        fixer.undo()
        assert mask_of(each.segmentation, "Tumor", each.reference)[stray].all() and not fixer.can_undo
    fixer.leave()
    assert not fixer.can_undo


@pytest.mark.parametrize("end", ["close", "scene", "cancel"])
def test_nothing_is_left_of_a_proposal(fixer, nodes, end):
    _, finding = with_stray_lesion(nodes)
    count = nodes_in(fixer.scene)
    fixer.propose(nodes, choose_segments(nodes.segmentation), finding)
    if end == "cancel":
        fixer.cancel()
        run(fixer)
        assert fixer.proposal is None and nodes_in(fixer.scene) == count
        return
    run(fixer)
    assert nodes_in(fixer.scene) > count
    if end == "scene":
        fixer.scene.Clear(0)
        assert fixer.proposal is None
    else:
        fixer.close()
        assert nodes_in(fixer.scene) == count


def test_invalid_requests_are_refused(fixer, nodes):
    choice = choose_segments(nodes.segmentation)
    with pytest.raises(UsageError, match="by hand"):
        fixer.propose(nodes, choice, Finding("liver-volume", "warning", ""))
    with pytest.raises(UsageError, match="tumor segment"):
        fixer.split(nodes, choice, "Liver")
    with pytest.raises(UsageError):
        fixer.accept()
