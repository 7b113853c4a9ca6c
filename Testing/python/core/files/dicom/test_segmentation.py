"""DICOM SEG: correct position for any axes, overlapping and LABELMAP segments complete, labels mapped; real files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.cases.open_case import masks_on, open_case
from REACTKDLib.core.errors import AmbiguousSeries, EmptySegmentation, FileMissing, NotASegmentation, ReactkdError
from REACTKDLib.core.files.dicom import segmentation
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.dicom.sources import referenced_series
from REACTKDLib.core.files.recognition import choose
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, write_seg, write_series
from support.real_data import real_data

SHAPE, SPACING = (12, 24, 28), (2.0, 2.5, 3.0)


def scan(folder, **options):
    """A CT with liver and two lesions, one extending beyond the liver: paths, and masks by segment label."""
    d, h, w = np.indices(SHAPE)
    liver = ((d - 6) / 4.5) ** 2 + ((h - 12) / 9) ** 2 + ((w - 13) / 11) ** 2 < 1
    lesion = ((d - 5) ** 2 + (h - 10) ** 2 + (w - 9) ** 2 < 9) | ((d - 8) ** 2 + (h - 14) ** 2 + (w - 22) ** 2 < 8)
    values = np.random.default_rng(0).normal(40, 12, SHAPE)
    values[~liver] -= 60
    values[:, :3] = -1000
    values[lesion] += 40
    paths = write_series(folder, np.rint(values).astype(np.int16), spacing=SPACING, **options)
    return paths, {"Liver": liver, "Mass": lesion, "Portal vein": h == 2, "Abdominal aorta": (w == 2) & (h < 6)}


def graded_masks(folder, seg):
    volume, _ = read_dicom_volume(folder, Modality.CT)
    file = read_dicom_segmentation(seg)
    (liver, tumor, *_), findings = masks_on(file, choose([s.candidate for s in file.segments], None, None), volume)
    return liver, tumor, findings


def test_more_than_255_segments_are_read(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    places = np.flatnonzero(np.indices(SHAPE)[0] == 4)
    for number in range(260):
        masks[f"Portal vein #{number}"] = np.zeros(SHAPE, dtype=bool)
        masks[f"Portal vein #{number}"].flat[places[number]] = True
    seg = write_seg(tmp_path / "seg.dcm", paths, masks)
    file = read_dicom_segmentation(seg)
    assert [segment.name for segment in file.segments] == list(masks) and file.layers.dtype == np.uint16
    assert file.mask([200]).sum() == 1 and file.mask([263]).sum() == 1 and not (file.mask([7]) & file.mask([263])).any()
    liver, tumor, _ = graded_masks(tmp_path / "ct", seg)
    assert np.array_equal(tumor, masks["Mass"]) and np.array_equal(liver, masks["Liver"])


@pytest.mark.parametrize("together", [1, 2, 3, 100])
def test_segments_are_the_same_however_many_are_read_at_a_time(tmp_path, monkeypatch, together):
    paths, masks = scan(tmp_path / "ct")
    used = np.flatnonzero(np.any(list(masks.values()), axis=(0, 2, 3)))
    monkeypatch.setattr(segmentation, "_TOGETHER", together * (used[-1] + 1 - used[0]) * SHAPE[1] * SHAPE[2])
    file = read_dicom_segmentation(write_seg(tmp_path / "seg.dcm", paths, masks))
    assert [segment.name for segment in file.segments] == list(masks)
    for n, mask in enumerate(masks.values()):
        assert np.array_equal(file.mask([n]), mask[used[0] : used[-1] + 1])


@pytest.mark.parametrize("how", [{}, {"flipped": True}], ids=["as the CT", "flipped in rows and columns (HCC_003)"])
@pytest.mark.parametrize("backwards", [False, True])
def test_segments_land_where_they_were_drawn(tmp_path, how, backwards):
    paths, masks = scan(tmp_path / "ct")
    order = list(range(SHAPE[0]))[:: -1 if backwards else 1]
    seg = write_seg(tmp_path / "s.dcm", [paths[n] for n in order], {k: m[order] for k, m in masks.items()}, **how)
    liver, tumor, _ = graded_masks(tmp_path / "ct", seg)
    assert np.array_equal(liver, masks["Liver"]) and np.array_equal(tumor, masks["Mass"])


def test_overlapping_segments_keep_all_their_voxels(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    assert (masks["Liver"] & masks["Mass"]).any() and (masks["Mass"] & ~masks["Liver"]).any()
    file = read_dicom_segmentation(write_seg(tmp_path / "s.dcm", paths, masks))
    assert [s.name for s in file.segments] == list(masks)
    used = np.flatnonzero(np.any(list(masks.values()), axis=(0, 2, 3)))
    for n, mask in enumerate(masks.values()):
        assert np.array_equal(file.mask([n]), mask[used[0] : used[-1] + 1])


def test_necrosis_is_part_of_the_tumor_and_numbers_do_not_matter(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    five = {"Liver": masks["Liver"], "Necrosis": masks["Mass"] & (np.indices(SHAPE)[2] < 9), **masks}
    five = {name: five[name] for name in ("Portal vein", "Necrosis", "Liver", "Abdominal aorta", "Mass")}
    five["Mass"] = five["Mass"] & ~five["Necrosis"]
    liver, tumor, _ = graded_masks(tmp_path / "ct", write_seg(tmp_path / "s.dcm", paths, five))
    assert np.array_equal(liver, masks["Liver"]) and np.array_equal(tumor, masks["Mass"])


def test_a_labelmap_segmentation_is_read(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    parts = {"Liver": masks["Liver"] & ~masks["Mass"], "Mass": masks["Mass"]}
    seg = write_seg(tmp_path / "s.dcm", paths, parts, labelmap=True)
    assert pydicom.dcmread(seg).SegmentationType == "LABELMAP"
    liver, tumor, _ = graded_masks(tmp_path / "ct", seg)
    assert np.array_equal(liver, parts["Liver"]) and np.array_equal(tumor, parts["Mass"])


def test_a_seg_without_referenced_series_keeps_its_position(tmp_path):  # HCC_048
    paths, masks = scan(tmp_path / "ct")

    def forget(dataset):
        del dataset.ReferencedSeriesSequence

    seg = write_seg(tmp_path / "s.dcm", paths, masks, edit=forget)
    assert referenced_series(seg) == ()
    assert np.array_equal(graded_masks(tmp_path / "ct", seg)[0], masks["Liver"])


def test_a_whole_case_from_dicom(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    pet = np.random.default_rng(1).integers(100, 9000, (8, 12, 12)).astype(np.int16)
    write_series(tmp_path / "pet", pet, modality="PT", spacing=(5, 5, 5), common=pet_tags(), name="pet")
    seg = write_seg(tmp_path / "seg" / "1-1.dcm", paths, masks)
    for source in (seg, seg.parent):
        case = open_case(tmp_path / "ct", tmp_path / "pet", segmentation=source)
        assert [m.value for m in case.modalities] == ["ct", "fdg"]
        assert np.array_equal(case.tumor, masks["Mass"])
        assert np.array_equal(case.liver, masks["Liver"] | masks["Mass"])


def test_the_series_that_the_segmentation_references_is_taken(tmp_path):
    scan(tmp_path / "study" / "a", name="PRE LIVER")
    paths, masks = scan(tmp_path / "study" / "b", name="LIVER 3 PHASE")
    pet = np.random.default_rng(1).integers(100, 9000, (8, 12, 12)).astype(np.int16)
    write_series(tmp_path / "study" / "p", pet, modality="PT", spacing=(5, 5, 5), common=pet_tags(), name="pet")
    seg = write_seg(tmp_path / "s.dcm", paths, masks)
    case = open_case(tmp_path / "study", tmp_path / "study", segmentation=seg)
    assert np.array_equal(case.tumor, masks["Mass"]) and len(case.volumes) == 2
    assert np.array_equal(case.reference.array, read_dicom_volume(tmp_path / "study" / "b", Modality.CT)[0].array)

    def forget(dataset):
        del dataset.ReferencedSeriesSequence

    with pytest.raises(AmbiguousSeries, match=r"'2 PRE LIVER \(12 images\)', '2 LIVER 3 PHASE"):
        open_case(tmp_path / "study", segmentation=write_seg(tmp_path / "t.dcm", paths, masks, edit=forget))


def test_unusable_segmentations_are_refused(tmp_path):
    paths, masks = scan(tmp_path / "ct")
    with pytest.raises(NotASegmentation, match="no DICOM segmentation"):
        read_dicom_segmentation(paths[0])
    with pytest.raises(FileMissing):
        read_dicom_segmentation(tmp_path / "none.dcm")

    def blank(dataset):
        dataset.PixelData = bytes(len(dataset.PixelData))

    with pytest.raises(EmptySegmentation, match="no voxel is labeled"):
        read_dicom_segmentation(write_seg(tmp_path / "s.dcm", paths, masks, edit=blank))


# -- real segmentations


def test_each_frame_of_liver_dcm_is_on_the_slice_of_its_position():
    data = real_data("dicom_seg")
    volume, findings = read_dicom_volume(data / "ct-3slice", Modality.CT)
    liver, tumor, more = graded_masks(data / "ct-3slice", data / "liver.dcm")
    assert findings == [] and more == [] and liver.shape == (3, 512, 512) and not tumor.any()
    assert int(liver.sum()) == 107_098
    # at least 20,000 mm2 of liver in each of three adjacent slices, with soft tissue HU, on the patient's right
    assert (liver.sum(axis=(1, 2)) > 30_000).all()
    inside = volume.array[liver]
    assert 20 < np.median(inside) < 120 and ((inside > -50) & (inside < 250)).mean() > 0.93
    moved = np.roll(liver, 60, axis=2)
    assert ((volume.array[moved] > -50) & (volume.array[moved] < 250)).mean() < 0.85, (
        "a shifted mask must not fit the CT"
    )
    raw = pydicom.dcmread(data / "liver.dcm")
    frames = np.unpackbits(np.frombuffer(raw.PixelData, np.uint8), bitorder="little")[: 3 * 512 * 512]
    frames = frames.reshape(3, 512, 512)
    for frame, groups in zip(frames, raw.PerFrameFunctionalGroupsSequence):
        z = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        k = round((z - volume.ijk_to_ras[2, 3]) / volume.ijk_to_ras[2, 2])
        assert np.array_equal(liver[k], frame.astype(bool)), "each frame lies on the slice of its own position"


def test_partially_overlapping_segments_keep_all_their_voxels():
    file = read_dicom_segmentation(real_data("dicom_seg") / "partial_overlaps.dcm")
    assert [s.name for s in file.segments] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    assert [int(file.mask([n]).sum()) for n in range(5)] == [9602, 11888, 10743, 6693, 4713]
    assert sum([9602, 11888, 10743, 6693, 4713]) > int(file.mask(range(5)).sum()), "the segments must overlap"


def test_sparse_labelmap_has_no_background_and_its_gap_is_empty():
    file = read_dicom_segmentation(real_data("dicom_seg") / "sparse-labelmap-ppv5.dcm")
    assert [s.name for s in file.segments] == ["Liver"]
    assert file.segments[0].candidate.type_code == ("SCT", "10200004")
    assert file.mask([0]).sum(axis=(1, 2)).tolist() == [315, 0, 315]


def test_small_segmentation_agrees_with_the_nrrd_made_from_it():
    from REACTKDLib.core.files.volumes import read_raw
    from REACTKDLib.core.images.geometry import to_ras_order

    data = real_data("dicom_seg") / "24x38x3"
    file = read_dicom_segmentation(data / "seg" / "label.seg")
    raw = read_raw(data / "nrrd" / "label.nrrd")
    ours, place = to_ras_order(file.mask([0]), file.ijk_to_ras)
    theirs, truth = to_ras_order(raw.array > 0, raw.ijk_to_ras)
    assert np.array_equal(ours, theirs) and np.allclose(place, truth, atol=1e-3)


# -- any file


@pytest.fixture(scope="module")
def good_seg(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("good")
    paths, masks = scan(folder / "ct")
    return write_seg(folder / "s.dcm", paths, masks).read_bytes()


@settings(max_examples=40, deadline=None)
@given(changed=st.lists(st.tuples(st.integers(132, 12_000), st.integers(0, 255)), min_size=1, max_size=8))
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_segmentation_is_read_or_refused(good_seg, changed):
    damaged = bytearray(good_seg)
    for place, value in changed:
        damaged[place] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.dcm"
        path.write_bytes(damaged)
        try:
            file = read_dicom_segmentation(path)
        except ReactkdError as error:
            assert str(error).endswith(".") and folder not in str(error)
        else:
            assert file.layers.any() and np.isfinite(file.ijk_to_ras).all() and file.segments
