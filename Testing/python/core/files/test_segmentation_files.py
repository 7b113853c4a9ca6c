"""Writing segmentations to files and reading them back, with Slicer's own reader as the reference."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest

from REACTKDLib.core import errors
from REACTKDLib.core.files.recognition import choose
from REACTKDLib.core.files.segmentation_writer import pack_layers, write_segmentation
from REACTKDLib.core.files.segmentations import read_segmentation
from REACTKDLib.core.files.segments import terminology_codes, terminology_entry
from REACTKDLib.core.files.volumes import write_volume
from REACTKDLib.core.images.volume import Volume
from support.case_files import write_masks
from support.real_data import real_data
from support.small_cases import placed, rotation, small_case

MATRIX = placed((5, 6, 7), (0.8, 0.9, 2.5), np.array([31.0, -12.0, 144.0]), rotation((9.0, -7.0, 21.0)))


@pytest.fixture
def masks():
    """Liver (5, 6, 7) and a tumor inside it."""
    liver = np.zeros((5, 6, 7), dtype=bool)
    liver[1:4, 1:5, 1:6] = True
    tumor = np.zeros_like(liver)
    tumor[2, 2, 2:4] = True
    return liver, tumor


@pytest.fixture
def scene():
    """Slicer's scene, empty; also fails the test when VTK reports an error."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from host.boot import boot

    host = boot()
    host.reset()
    yield host.scene
    host.reset()


def test_overlapping_segments_are_written_and_read_back(tmp_path, masks):
    read = read_segmentation(write_masks(*masks, MATRIX, tmp_path / "s.seg.nrrd"))
    assert [s.name for s in read.segments] == ["Liver", "Tumor"]
    assert read.layers.shape[0] == 2  # two layers, as the liver contains the tumor
    assert np.array_equal(read.mask([0]), masks[0])
    assert np.array_equal(read.mask([1]), masks[1])
    assert np.allclose(read.ijk_to_ras, MATRIX, atol=1e-12)
    assert choose([s.candidate for s in read.segments], None, None).tumors == (1,)


def many_masks(count):
    """Masks (4, 12, 16) of one voxel each, the last one overlapping the first."""
    masks = np.zeros((count, 4, 12, 16), dtype=bool)
    for number, mask in enumerate(masks):
        mask.flat[number] = True
    masks[-1].flat[0] = True
    return masks


@pytest.mark.parametrize(("count", "dtype"), [(2, np.uint8), (255, np.uint8), (256, np.uint16), (300, np.uint16)])
def test_masks_are_packed_into_as_few_layers_as_possible(count, dtype):
    masks = many_masks(count)
    layers, places = pack_layers(iter(masks))
    assert layers.dtype == dtype and layers.shape == (2, 4, 12, 16)
    assert places == [*((0, n) for n in range(1, count)), (1, count)]
    assert all(np.array_equal(layers[layer] == label, mask) for (layer, label), mask in zip(places, masks))


@pytest.mark.parametrize("count", [255, 256, 300])
@pytest.mark.parametrize("last", [0, 1])
def test_more_than_255_segments_are_written_and_read_back(tmp_path, scene, count, last):
    masks = many_masks(count)
    masks[-1].flat[0] = last  # in one layer, or in two
    named = [(f"s{n}", "tumor", mask) for n, mask in enumerate(masks)]
    path = write_segmentation(named, MATRIX, tmp_path / "many.seg.nrrd")
    read = read_segmentation(path)
    assert [s.name for s in read.segments] == [name for name, _, _ in named]
    assert all(np.array_equal(read.mask([n]), mask) for n, mask in enumerate(masks))
    node = _in_slicer(scene, path)
    assert [_voxels_in_slicer(node, n) for n in range(count)] == [int(mask.sum()) for mask in masks]


def test_segments_that_do_not_overlap_share_a_layer(tmp_path, masks):
    liver, tumor = masks
    read = read_segmentation(write_masks(liver & ~tumor, tumor, MATRIX, tmp_path / "s.seg.nrrd"))
    assert read.layers.shape[0] == 1
    assert np.array_equal(read.mask([0, 1]), liver)


def test_empty_tumor_stays_a_segment(tmp_path, masks):
    read = read_segmentation(write_masks(masks[0], np.zeros_like(masks[0]), MATRIX, tmp_path / "s.seg.nrrd"))
    assert [s.name for s in read.segments] == ["Liver", "Tumor"]
    assert not read.mask([1]).any()


ODD_NAMES = (r"liver\new", r"a\\b", "Liver\nSegment0_LabelValue:=9", "two\r\nlines", " padded ", "a:=b", "\u809d")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_segment_name_is_written_and_read_back(tmp_path, masks, name):
    path = write_segmentation(
        [(name, "liver", masks[0]), ("Tumor", "tumor", masks[1])], MATRIX, tmp_path / "s.seg.nrrd"
    )
    read = read_segmentation(path)
    assert [s.name for s in read.segments] == [name, "Tumor"]
    assert np.array_equal(read.mask([0]), masks[0])
    assert np.array_equal(read.mask([1]), masks[1])


def test_slicer_reads_any_name(tmp_path, masks, scene):
    named = [(name, "liver", masks[0]) for name in ODD_NAMES if "\n" not in name]
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage.SetFileName(str(write_segmentation(named, MATRIX, tmp_path / "s.seg.nrrd")))
    assert storage.ReadData(node)
    found = [node.GetSegmentation().GetNthSegment(n).GetName() for n in range(len(named))]
    assert found == [name for name, _kind, _mask in named]


def test_slicer_reads_what_we_write(tmp_path, masks, scene):
    import slicer

    path = write_masks(*masks, MATRIX, tmp_path / "s.seg.nrrd")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    reference = slicer.util.addVolumeFromArray(np.zeros(masks[0].shape, np.int16), ijkToRAS=MATRIX)
    data = node.GetSegmentation()
    assert [data.GetNthSegment(n).GetName() for n in range(data.GetNumberOfSegments())] == ["Liver", "Tumor"]
    for n, (mask, code) in enumerate(zip(masks, ("10200004", "4147007"))):
        segment = data.GetNthSegment(n)
        entry = slicer.vtkSlicerTerminologyEntry()
        assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(segment.GetTerminology(), entry)
        assert entry.GetTypeObject().GetCodeValue() == code
        read = slicer.util.arrayFromSegmentBinaryLabelmap(node, data.GetNthSegmentID(n), reference)
        assert np.array_equal(read > 0, mask)
    assert data.GetNthSegment(0).GetColor() == pytest.approx((0.87, 0.51, 0.40), abs=1e-6)


def test_we_read_what_slicer_writes(tmp_path, masks, scene):
    import slicer

    reference = slicer.util.addVolumeFromArray(np.zeros(masks[0].shape, np.int16), ijkToRAS=MATRIX)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for mask, name in zip(masks, ("Foie (Léa)", "tumeur")):
        segment = node.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment, reference)
    node.GetSegmentation().GetNthSegment(1).SetTerminology(terminology_entry("tumor"))
    node.AddDefaultStorageNode(str(tmp_path / "slicer.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node)
    read = read_segmentation(tmp_path / "slicer.seg.nrrd")
    assert [s.name for s in read.segments] == ["Foie (Léa)", "tumeur"]
    choice = choose([s.candidate for s in read.segments], ["Foie (Léa)"], None)
    assert choice.tumors == (1,)
    from REACTKDLib.core.images.grid import Grid
    from REACTKDLib.core.images.regrid import mask_on_grid

    for n, mask in enumerate(masks):  # Slicer crops the file to the extent of the segments
        assert np.array_equal(mask_on_grid(read.mask([n]), read.ijk_to_ras, Grid(mask.shape, MATRIX)), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_label_map_is_read_as_segments(tmp_path, masks, dtype, suffix):
    labels = (5 * masks[0] + 2 * masks[1]).astype(dtype)
    read = read_segmentation(write_volume(Volume(labels, MATRIX), tmp_path / f"labels{suffix}"))
    assert [(s.name, s.label) for s in read.segments] == [("label 5", 5), ("label 7", 7)]
    assert np.array_equal(read.mask([0, 1]), masks[0])


def test_codes_of_a_terminology_entry_are_read():
    assert terminology_codes(terminology_entry("tumor")) == (("SCT", "4147007"), ("SCT", "10200004"))
    assert terminology_codes(terminology_entry("liver")) == (("SCT", "10200004"), ("", ""))
    assert terminology_codes("") == (("", ""), ("", ""))


def test_unusable_segmentation_files_are_refused(tmp_path, masks):
    image = small_case().reference
    floats = write_volume(Volume(np.random.default_rng(0).random((5, 6, 7)), MATRIX), tmp_path / "probabilities.nrrd")
    below = write_volume(Volume(np.full((5, 6, 7), -1, np.int16), MATRIX), tmp_path / "below.nrrd")
    many = write_volume(Volume(np.arange(210 * 9).reshape(9, 14, 15).astype(np.int16), MATRIX), tmp_path / "many.nrrd")
    empty = write_volume(Volume(np.zeros((5, 6, 7), np.uint8), MATRIX), tmp_path / "empty.nii.gz")
    for path, error in (
        (floats, errors.NotASegmentation),
        (below, errors.NotASegmentation),
        (many, errors.NotASegmentation),
        (write_volume(image, tmp_path / "image.nrrd"), errors.NotASegmentation),
        (empty, errors.EmptySegmentation),
        (tmp_path / "nowhere.seg.nrrd", errors.FileMissing),
    ):
        with pytest.raises(error, match="[Ss]egmentation"):
            read_segmentation(path)
    with pytest.raises(errors.UsageError, match="seg.nrrd"):
        write_segmentation([("Liver", "liver", masks[0])], MATRIX, tmp_path / "liver.nrrd")


def test_a_real_label_map_is_read():
    read = read_segmentation(real_data("totalseg/example_seg.nii.gz"))
    choice = choose([s.candidate for s in read.segments], ["5"], None)
    assert int(read.mask(choice.livers).sum()) == 38634
    with pytest.raises(errors.NoLiver, match="more; say which"):
        choose([s.candidate for s in read.segments], None, None)


def older(path, masks, target, drop=r"Layer|LabelValue", frames=None):
    """Rewrite a file as Slicer before 4.11 wrote it: a 0/1 frame for each segment, fewer fields in the header."""
    head = path.read_bytes().split(b"\n\n")[0].decode()
    head = re.sub(rf"\nSegment\d+_({drop}):=[^\n]*", "", head)
    frames = list(masks) if frames is None else frames
    data = np.stack(frames, -1).astype(np.uint8)
    target.write_bytes(head.encode() + b"\n\n" + gzip.compress(data.tobytes(), 1))
    return target


@pytest.mark.parametrize("kinds", ["list", "vector"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_frame_for_each_segment(tmp_path, masks, scene, order, kinds):
    named = [("Liver", "liver", masks[0]), ("Tumor", "tumor", masks[1])][::order]
    new = write_segmentation(named, MATRIX, tmp_path / "new.seg.nrrd")
    old = older(new, masks[::order], tmp_path / "old.seg.nrrd")
    old.write_bytes(old.read_bytes().replace(b"kinds: list", f"kinds: {kinds}".encode(), 1))
    read = read_segmentation(old)
    assert [s.name for s in read.segments] == [name for name, _, _ in named]
    for n, (_, _, mask) in enumerate(named):
        assert np.array_equal(read.mask([n]), mask)
    choice = choose([s.candidate for s in read.segments], None, None)
    assert choice.livers == ((0,) if order == 1 else (1,))
    node = _in_slicer(scene, old)
    for n, (_, _, mask) in enumerate(named):
        assert _voxels_in_slicer(node, n) == np.count_nonzero(mask)


@pytest.mark.parametrize("drop", ["Name", "Extent", "Layer", "LabelValue", "Name|Layer|LabelValue|Extent"])
def test_missing_header_fields_get_defaults(tmp_path, masks, drop):
    path = write_masks(*masks, MATRIX, tmp_path / "new.seg.nrrd")
    plain = [masks[0], masks[1]]
    if "LabelValue" not in drop:
        plain[1] = 2 * masks[1].astype(np.uint8)  # the label of the second segment as the header states it
    read = read_segmentation(older(path, masks, tmp_path / "old.seg.nrrd", drop, plain))
    assert [s.name for s in read.segments] == ["Liver", "Tumor"]  # the IDs, where there are no names
    assert np.array_equal(read.mask([0]), masks[0])
    assert np.array_equal(read.mask([1]), masks[1])


def test_some_segments_with_a_layer_and_some_without(tmp_path, masks):
    path = write_masks(*masks, MATRIX, tmp_path / "new.seg.nrrd")
    head = path.read_bytes()
    path.write_bytes(head.replace(b"Segment1_Layer:=1\n", b""))
    read = read_segmentation(path)
    assert np.array_equal(read.mask([1]), masks[1])
    path.write_bytes(head.replace(b"Segment0_Layer:=0\n", b"Segment0_Layer:=1\n").replace(b"Segment1_Layer:=1\n", b"")
                     .replace(b"Segment0_LabelValue:=1", b"Segment0_LabelValue:=2"))  # fmt: skip
    with pytest.raises(errors.NotASegmentation, match="which voxels"):
        read_segmentation(path)
    path.write_bytes(head.replace(b"Segment0_", b"Segment7_").replace(b"Segment7_Layer:=0\n", b""))
    with pytest.raises(errors.NotASegmentation, match="layer that is not in the file"):
        read_segmentation(path)


def _in_slicer(scene, path):
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    assert isinstance(node, slicer.vtkMRMLSegmentationNode)
    return node


def _voxels_in_slicer(node, number: int) -> int:
    from REACTKDLib.scene.segments import segment_array

    return int(segment_array(node, node.GetSegmentation().GetNthSegmentID(number))[0].sum())


def test_a_label_that_no_segment_describes_is_refused(tmp_path, masks):
    """As left by a script that draws the tumor into the voxels of a liver segmentation."""
    liver, tumor = masks
    path = write_masks(liver & ~tumor, tumor, MATRIX, tmp_path / "s.seg.nrrd")
    path.write_bytes(re.sub(rb"Segment1_[A-Za-z]+:=[^\n]*\n", b"", path.read_bytes()))
    with pytest.raises(errors.NotASegmentation, match=r"label 2, which none of its segments describes \(2 voxels\)"):
        read_segmentation(path)


def test_a_label_described_only_in_another_layer_is_refused(tmp_path, masks):
    liver, tumor = masks
    path = write_masks(liver, liver & tumor, MATRIX, tmp_path / "s.seg.nrrd")  # they overlap: two frames
    head = path.read_bytes()
    assert b"Segment1_Layer:=1" in head
    path.write_bytes(head.replace(b"Segment1_Layer:=1", b"Segment1_Layer:=0"))
    with pytest.raises(errors.NotASegmentation, match="label 2, which none of its segments describes"):
        read_segmentation(path)


def test_a_segment_with_the_background_label_is_refused(tmp_path, masks):
    path = write_masks(masks[0], masks[1] & False, MATRIX, tmp_path / "s.seg.nrrd")
    path.write_bytes(path.read_bytes().replace(b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=0"))
    with pytest.raises(errors.NotASegmentation, match="label 0, which is the background"):
        read_segmentation(path)
