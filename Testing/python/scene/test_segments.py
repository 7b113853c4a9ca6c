"""Which segments are recognized as liver and tumor; reading them changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.task import HCC_GRADE
from REACTKDLib.scene.segments import SegmentChoice, choose_segments, keep_specks, mask_on, segment_array
from REACTKDLib.scene.terminology import codes_of, tag

SHAPE = (12, 16, 20)


def _code(value: str, meaning: str, region: tuple[str, str] | None = None) -> str:
    where = f"SCT^{region[0]}^{region[1]}" if region else "^^"
    return (
        "Segmentation category and type - DICOM master list~SCT^49755003^Morphologically Altered Structure~"
        f"SCT^{value}^{meaning}~^^~Anatomic codes - DICOM master list~{where}~^^"
    )


def _segmentation(scene, *segments: tuple[str, str]):
    """Add a segmentation with segments (name, terminology); IDs are s0, s1, ..."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    for index, (name, terminology) in enumerate(segments):
        node.GetSegmentation().AddEmptySegment(f"s{index}", name)
        if terminology:
            node.GetSegmentation().GetSegment(f"s{index}").SetTerminology(terminology)
    return node


LIVER = _code("10200004", "Liver")
TISSUE = _code("85756007", "Tissue")
SPLEEN = _code("78961009", "Spleen")


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([("Liver", ""), ("Tumor", "")], SegmentChoice(("s0",), ("s1",))),
        ([("Liver", TISSUE), ("Tumor", TISSUE)], SegmentChoice(("s0",), ("s1",))),
        ([("a", LIVER), ("b", _code("4147007", "Mass"))], SegmentChoice(("s0",), ("s1",))),
        ([("a", LIVER), ("b", _code("108369006", "Neoplasm"))], SegmentChoice(("s0",), ("s1",))),
        ([("a", LIVER), ("b", _code("86049000", "Neoplasm, Primary"))], SegmentChoice(("s0",), ("s1",))),
        ([("a", LIVER), ("b", _code("14799000", "Neoplasm, Secondary"))], SegmentChoice(("s0",), ("s1",))),
        ([("a", LIVER), ("b", _code("27925004", "Nodule"))], SegmentChoice(("s0",), ("s1",))),
        # A code takes precedence over a name; a mass of the kidney is not a lesion of the liver.
        ([("Tumor", LIVER), ("Spleen", _code("4147007", "Mass"))], SegmentChoice(("s0",), ("s1",))),
        ([("Liver", SPLEEN), ("x", LIVER)], SegmentChoice(("s1",), ())),
        (
            [("Liver", LIVER), ("m", _code("4147007", "Mass", ("64033007", "Kidney")))],
            SegmentChoice(("s0",), ()),
        ),
        (
            [("Liver", LIVER), ("m", _code("4147007", "Mass", ("10200004", "Liver")))],
            SegmentChoice(("s0",), ("s1",)),
        ),
        # Every lesion counts, whether recognized by code or by name.
        (
            [("lesion 1", ""), ("liver", ""), ("x", _code("27925004", "Nodule")), ("HCC", "")],
            SegmentChoice(("s1",), ("s0", "s2", "s3")),
        ),
    ],
)
def test_liver_and_tumor_segments_are_recognized(scene, segments, expected):
    assert choose_segments(_segmentation(scene, *segments)) == expected


def test_segments_are_chosen_by_id_name_or_label(scene):
    # The second segment is named like the first one's ID: IDs take precedence over names.
    node = _segmentation(scene, ("Organ", SPLEEN), ("s0", ""), ("Liver", LIVER), ("Odd", ""))
    assert choose_segments(node, "s0", ["Odd"]) == SegmentChoice(("s0",), ("s3",))
    assert choose_segments(node, "Organ", []) == SegmentChoice(("s0",), ())
    assert choose_segments(node, tumors="Odd") == SegmentChoice(("s2",), ("s3",))
    node.GetSegmentation().GetSegment("s3").SetLabelValue(7)
    assert choose_segments(node, tumors=["7"]) == SegmentChoice(("s2",), ("s3",))
    node.GetSegmentation().GetSegment("s1").SetName("7")
    with pytest.raises(AmbiguousSegment, match="'7' is the name of a segment and the label of 'Odd'"):
        choose_segments(node, tumors=["7"])
    assert choose_segments(node, tumors=["s1"]) == SegmentChoice(("s2",), ("s1",))


@pytest.mark.parametrize(
    ("segments", "options", "error"),
    [
        ([], {}, EmptySegmentation),
        ([("Spleen", "")], {}, NoLiver),
        ([("Liver", "")], {"liver": "Leber"}, LabelMissing),
        ([("Liver", "")], {"tumors": ["Tumor 9"]}, LabelMissing),
        ([("Liver", "")], {"tumors": ["5"]}, LabelMissing),
        ([("Liver A", ""), ("Liver B", "")], {}, AmbiguousSegment),
    ],
)
def test_an_invalid_choice_is_refused(scene, segments, options, error):
    with pytest.raises(error):
        choose_segments(_segmentation(scene, *segments), **options)


def test_written_codes_are_read_back(scene):
    node = _segmentation(scene, ("a", ""), ("b", ""))
    for segment_id, kind in (("s0", "liver"), ("s1", "tumor")):
        tag(node.GetSegmentation().GetSegment(segment_id), kind, HCC_GRADE)
    assert codes_of(node.GetSegmentation().GetSegment("s0"))[0] == ("SCT", "10200004")
    assert codes_of(node.GetSegmentation().GetSegment("s1")) == (("SCT", "4147007"), ("SCT", "10200004"))
    assert choose_segments(node) == SegmentChoice(("s0",), ("s1",))


def test_overlapping_segments_keep_their_voxels(scene):
    ct = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), name="CT")
    rng = np.random.default_rng(1)
    masks = [rng.random(SHAPE) < 0.5 for _ in range(3)]
    node = _segmentation(scene, ("a", ""), ("b", ""), ("c", ""), ("empty", ""))
    for index, mask in enumerate(masks):
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, f"s{index}", ct)
    assert node.GetSegmentation().GetNumberOfLayers() > 1
    for index, mask in enumerate(masks):
        assert np.array_equal(mask_on(node, [f"s{index}"], ct), mask)
    assert np.array_equal(mask_on(node, ["s0", "s2"], ct), masks[0] | masks[2])
    assert not mask_on(node, ["s3"], ct).any()


def test_a_surface_only_segmentation_is_read_and_not_changed(scene):
    """Converting it in place would add a representation to the user's node."""
    ct = slicer.util.addVolumeFromArray(np.zeros((40, 40, 40), np.int16), name="CT", ijkToRAS=np.eye(4))
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(20, 20, 20)
    sphere.SetRadius(10)
    sphere.SetThetaResolution(48)
    sphere.SetPhiResolution(48)
    sphere.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surface")
    data = node.GetSegmentation()
    data.SetSourceRepresentationName("Closed surface")
    segment = slicer.vtkSegment()
    segment.SetName("Liver")
    segment.AddRepresentation("Closed surface", sphere.GetOutput())
    data.AddSegment(segment, "s0")
    names_before: list[str] = []
    data.GetContainedRepresentationNames(names_before)

    mask = mask_on(node, ["s0"], ct)

    names_after: list[str] = []
    data.GetContainedRepresentationNames(names_after)
    assert names_after == names_before == ["Closed surface"]
    assert mask.sum() == pytest.approx(4 / 3 * np.pi * 1000, rel=0.03)


def test_empty_segment_has_no_voxels(scene):
    array, _ = segment_array(_segmentation(scene, ("a", "")), "s0")
    assert not array.any()


def test_the_decision_on_specks_is_part_of_the_choice(scene):
    node = _segmentation(scene, ("Liver", ""), ("Tumor", ""))
    assert not choose_segments(node).keep_specks
    keep_specks(node)
    assert choose_segments(node) == SegmentChoice(("s0",), ("s1",), True)
