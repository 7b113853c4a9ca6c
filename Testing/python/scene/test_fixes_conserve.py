"""A fix changes only the voxels it reports, whatever layers the segments share, and undo restores them."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import numpy_to_vtk

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.masks.fixes import FIXES, split_lesions
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.segments import SegmentChoice, mask_on
from REACTKDLib.scene.terminology import tag
from support.script_runs import run

SHAPE = (16, 18, 20)
MATRIX = np.array([[-2.0, 0, 0, 15], [0, -2.0, 0, 20], [0, 0, 3.0, -10], [0, 0, 0, 1.0]])


def random_masks(seed: int) -> dict[str, np.ndarray]:
    """Liver with a hole and a speck, two tumor segments with several lesions, some outside the liver, and a vessel."""
    rng = np.random.default_rng(seed)
    liver = np.zeros(SHAPE, bool)
    liver[3:13, 3:15, 4:17] = True
    masks = {"Liver": liver, "Tumor": np.zeros(SHAPE, bool), "Tumor 2": np.zeros(SHAPE, bool)}
    for name in ("Tumor", "Tumor", "Tumor", "Tumor", "Tumor 2", "Tumor 2"):
        k, j, i = (int(rng.integers(1, n - 4)) for n in SHAPE)
        masks[name][k : k + 3, j : j + 2, i : i + 3] = True
    masks["Tumor 2"] &= ~masks["Tumor"]
    masks["Tumor"][0, 0, int(rng.integers(0, 20))] = True
    liver[5:10, 6:11, 8:13] = False
    liver[4, 4, 6] = False
    liver[15, 17, 19] = True
    masks["Vessel"] = rng.random(SHAPE) < 0.02
    return masks


def segmentation_of(masks: dict[str, np.ndarray], layers: str) -> CaseNodes:
    """Segments of `masks`: each in its own layer ("separate"), or non-overlapping in one layer ("shared")."""
    scene = slicer.mrmlScene
    reference = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.util.updateVolumeFromArray(reference, np.zeros(SHAPE, np.int16))
    reference.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(MATRIX))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    data = node.GetSegmentation()
    for name, mask in masks.items():
        image = slicer.vtkOrientedImageData()
        image.SetExtent(0, SHAPE[2] - 1, 0, SHAPE[1] - 1, 0, SHAPE[0] - 1)
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(MATRIX))
        image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        tag(segment, "tumor" if name.startswith("Tumor") else "liver", HCC_GRADE)
        data.AddSegment(segment, name)
    if layers == "shared":
        data.CollapseBinaryLabelmaps(False)
        assert data.GetNumberOfLayers() == 1
    return CaseNodes({Modality.CT: reference}, node)


def masks_of(nodes: CaseNodes, node=None) -> dict[str, np.ndarray]:
    node = node or nodes.segmentation
    ids = node.GetSegmentation().GetSegmentIDs()
    return {segment_id: mask_on(node, [segment_id], nodes.reference) for segment_id in ids}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)
    for name in a:
        assert np.array_equal(a[name], b[name]), (name, int(a[name].sum()), int(b[name].sum()))


def after(before: dict[str, np.ndarray], edits, new: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The segments that should result from the edits."""
    expected, new_ids = {name: mask.copy() for name, mask in before.items()}, iter(new)
    for edit in edits:
        whole = np.zeros(SHAPE, bool)
        k, j, i = edit.corner
        d, h, w = edit.mask.shape
        whole[k : k + d, j : j + h, i : i + w] = edit.mask
        if edit.segment is None:
            expected[next(new_ids)] = whole
        else:
            expected[edit.segment] = expected[edit.segment] | whole if edit.add else expected[edit.segment] & ~whole
    return expected


def disjoint(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Make masks disjoint, as in a label map: a voxel in several segments goes to the last one."""
    out, taken = {}, np.zeros(SHAPE, bool)
    for name in reversed(list(masks)):
        out[name], taken = masks[name] & ~taken, taken | masks[name]
    return {name: out[name] for name in masks}


@pytest.mark.parametrize("layers", ["shared", "separate", "overlapping"])
@pytest.mark.parametrize("code", [*FIXES, "split"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_fix_changes_only_the_voxels_it_reports_and_undo_restores_them(
    fixer, code: str, layers: str, seed: int
) -> None:
    masks = random_masks(seed)
    nodes = segmentation_of(masks if layers == "overlapping" else disjoint(masks), layers)
    choice, before = SegmentChoice(("Liver",), ("Tumor", "Tumor 2")), masks_of(nodes)

    def propose() -> bool:
        if code == "split":
            fixer.split(nodes, choice)
        else:
            fixer.propose(nodes, choice, Finding(code, "warning", "x", None))
        run(fixer)
        if fixer.proposal is None:
            assert "do not have this fault" in fixer.error or "nothing to split" in fixer.error
        return fixer.proposal is not None

    if not propose():
        assert_same(masks_of(nodes), before)
        return
    expected = after(before, fixer.proposal.edits, fixer.proposal.new_segments)
    assert_same(masks_of(nodes), before)
    assert_same(masks_of(nodes, fixer.proposal.node), expected)
    fixer.reject()
    assert_same(masks_of(nodes), before)
    assert propose()
    fixer.accept()
    assert_same(masks_of(nodes), expected)
    if code == "split":
        lesions = [name for name in expected if name not in before]
        assert len(lesions) == sum(len(split_lesions(before[name])) - 1 for name in choice.tumors)
        assert all(expected[name].any() for name in lesions)
        union = np.logical_or.reduce([before[name] for name in choice.tumors])
        assert np.array_equal(np.logical_or.reduce([expected[n] for n in (*choice.tumors, *lesions)]), union)
    fixer.undo()
    assert_same(masks_of(nodes), before)


@pytest.mark.parametrize("layers", ["shared", "separate"])
def test_edits_after_a_split_are_kept_when_it_is_undone(fixer, layers: str) -> None:
    nodes = segmentation_of(disjoint(random_masks(4)), layers)
    choice, before = SegmentChoice(("Liver",), ("Tumor", "Tumor 2")), masks_of(nodes)
    fixer.split(nodes, choice, "Tumor")
    run(fixer)
    fixer.accept()
    stroke = np.zeros(SHAPE, np.uint8)
    stroke[10:12, 15:17, 1:3] = 1
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, SHAPE[2] - 1, 0, SHAPE[1] - 1, 0, SHAPE[0] - 1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(MATRIX))
    image.GetPointData().SetScalars(numpy_to_vtk(stroke.ravel(), deep=True))
    kind = slicer.vtkSlicerSegmentationsModuleLogic
    nodes.segmentation.GetSegmentation().SeparateSegmentLabelmap("Vessel")
    kind.SetBinaryLabelmapToSegment(image, nodes.segmentation, "Vessel", kind.MODE_MERGE_MAX)
    fixer.undo()
    now = masks_of(nodes)
    assert np.array_equal(now.pop("Vessel"), before.pop("Vessel") | (stroke > 0))
    assert_same(now, before)


def test_split_lesions_have_the_names_of_the_report(fixer) -> None:
    """A label map, liver = 1 and tumor = 2, three lesions of 64, 27 and 8 voxels: the largest keeps its segment."""
    liver, tumor = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    liver[2:14, 2:16, 2:18] = True
    places = {"Lesion 3": np.s_[3:5, 3:5, 3:5], "Tumor": np.s_[8:12, 8:12, 3:7], "Lesion 2": np.s_[5:8, 5:8, 12:15]}
    for place in places.values():
        tumor[place] = True
    nodes = segmentation_of({"Liver": liver & ~tumor, "Tumor": tumor}, "shared")
    fixer.split(nodes, SegmentChoice(("Liver",), ("Tumor",)))
    run(fixer)
    voxel_ml = 2.0 * 2.0 * 3.0 / 1000
    assert dict(fixer.proposal.lesions) == {"Lesion 2": 27 * voxel_ml, "Lesion 3": 8 * voxel_ml}
    fixer.accept()
    data = nodes.segmentation.GetSegmentation()
    named = {data.GetSegment(i).GetName(): mask for i, mask in masks_of(nodes).items()}
    assert np.array_equal(named.pop("Liver"), liver & ~tumor)
    for name, place in places.items():
        assert np.array_equal(np.argwhere(named[name]), np.argwhere(_at(place)))
    report = RegionSet.from_masks(liver, tumor, MATRIX)
    for region in report.lesions[1:]:
        assert np.array_equal(named[region.name], report.labels == region.label)


def _at(place) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[place] = True
    return mask
