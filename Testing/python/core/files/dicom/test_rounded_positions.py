"""Positions rounded in the header, in CT, multi-frame CT and SEG: one rule, and every mask on its own slice."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.cases.open_case import masks_on
from REACTKDLib.core.errors import BadRescale, MixedSeries, NotASegmentation, SkewedAxes, SlicesMissing
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.recognition import choose
from REACTKDLib.core.modality import Modality
from support.dicom_files import write_seg, write_series

pytestmark = pytest.mark.filterwarnings("ignore")
SLICES = 24


def tissue(count: int = SLICES) -> np.ndarray:
    values = np.random.default_rng(5).normal(40, 25, (count, 12, 14)) + np.arange(count)[:, None, None]
    values[:, :3] = -1000
    return np.rint(values).astype(np.int16)


def rounding(places: int):
    def edit(dataset, k):
        dataset.ImagePositionPatient = [round(float(v), places) for v in dataset.ImagePositionPatient]

    return edit


def liver_and_mass(count: int = SLICES) -> dict[str, np.ndarray]:
    """A different voxel marks each slice, so that a mask shifted by one slice is noticed."""
    d, h, w = np.indices((count, 12, 14))
    liver = (h > 3) & (d > 1) & (d < count - 2)
    return {
        "Liver": liver | ((h == 3) & (w == d % 14) & (d > 1) & (d < count - 2)),
        "Mass": (h == 8) & (w == d % 14) & (d % 3 == 1),
    }


@pytest.mark.parametrize("step", [0.625, 1.25, 3.27, 3.75])
@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0.8, 0.6)], ids=["axial", "oblique"])
def test_a_ct_and_its_seg_from_rounded_positions(tmp_path, step, axes):
    paths = write_series(tmp_path / "ct", tissue(), spacing=(0.7, 0.7, step), axes=axes, edit=rounding(1))
    masks = liver_and_mass()
    seg = write_seg(tmp_path / "seg.dcm", paths, masks)
    volume, findings = read_dicom_volume(tmp_path / "ct", Modality.CT)
    assert findings == [] and np.array_equal(volume.array, tissue())
    true = np.array([-10.0, -12, 100]) + np.outer(step * np.arange(SLICES), np.cross(axes[:3], axes[3:]))
    found = volume.ijk_to_ras @ np.stack([*np.zeros((2, SLICES)), np.arange(SLICES), np.ones(SLICES)])
    assert np.abs(found[:3].T - true * (-1, -1, 1)).max() < 0.11
    assert abs(volume.spacing[2] - step) * (SLICES - 1) < 0.12
    file = read_dicom_segmentation(seg)
    (liver, tumor, *_), _ = masks_on(file, choose([s.candidate for s in file.segments], None, None), volume)
    assert np.array_equal(liver, masks["Liver"] | masks["Mass"]) or np.array_equal(liver, masks["Liver"])
    assert np.array_equal(tumor, masks["Mass"])


@settings(max_examples=8, deadline=None)
@given(
    step=st.floats(0.6, 5), places=st.sampled_from([1, 2]), used=st.sets(st.integers(2, 21), min_size=2, max_size=20)
)
def test_a_seg_of_some_slices_covers_only_these(step, places, used):
    masks = liver_and_mass()
    for mask in masks.values():
        mask[[k for k in range(SLICES) if k not in used]] = False
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder) / "ct", tissue(), spacing=(0.7, 0.7, step), edit=rounding(places))
        seg = write_seg(Path(folder) / "seg.dcm", paths, masks)
        volume, _ = read_dicom_volume(Path(folder) / "ct", Modality.CT)
        file = read_dicom_segmentation(seg)
        (liver, *_), _ = masks_on(file, choose([s.candidate for s in file.segments], None, None), volume)
    assert np.array_equal(liver, masks["Liver"])


@pytest.mark.parametrize("how", ["shift", "tilt", "uneven"])
def test_a_seg_whose_frames_form_no_stack_is_refused(tmp_path, how):
    def move(dataset):
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSequence[0]
            x, y, z = (float(v) for v in place.ImagePositionPatient)
            k = round((z - 100) / 2)
            moved = {
                "shift": (x + 9 * (k > 10), y, z),
                "tilt": (x, y + 0.3 * k, z),
                "uneven": (x, y, z + 0.7 * (k == 9)),
            }
            place.ImagePositionPatient = list(moved[how])

    paths = write_series(tmp_path / "ct", tissue())
    seg = write_seg(tmp_path / "seg.dcm", paths, liver_and_mass(), edit=move)
    with pytest.raises(NotASegmentation, match="even grid" if how == "uneven" else "shifted sideways"):
        read_dicom_segmentation(seg)


@pytest.mark.parametrize("step", ["1e-300", "0", "-2", "1e300", "0.001", "NaN", "7"])
def test_a_wrong_stated_spacing_does_not_move_a_seg(tmp_path, step):
    def change(dataset):
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = step

    paths, masks = write_series(tmp_path / "ct", tissue()), liver_and_mass()
    file = read_dicom_segmentation(write_seg(tmp_path / "seg.dcm", paths, masks, edit=change))
    volume, _ = read_dicom_volume(tmp_path / "ct", Modality.CT)
    (liver, tumor, *_), _ = masks_on(file, choose([s.candidate for s in file.segments], None, None), volume)
    assert np.array_equal(liver, masks["Liver"]) and np.array_equal(tumor, masks["Mass"])


@pytest.mark.parametrize("far", ["1e308", "9e4"])
def test_frames_too_far_apart_take_no_memory(tmp_path, far):
    def change(dataset):
        dataset.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0].ImagePositionPatient = ["-10", "-12", far]

    paths = write_series(tmp_path / "ct", tissue())
    with pytest.raises(NotASegmentation, match=r"too far apart|even grid"):
        read_dicom_segmentation(write_seg(tmp_path / "seg.dcm", paths, liver_and_mass(), edit=change))


def test_a_seg_without_a_preamble(tmp_path):
    paths = write_series(tmp_path / "ct", tissue())
    seg = write_seg(tmp_path / "seg.dcm", paths, liver_and_mass())
    whole = read_dicom_segmentation(seg)
    seg.write_bytes(seg.read_bytes()[132:])
    again = read_dicom_segmentation(seg)
    assert np.array_equal(whole.layers, again.layers) and np.array_equal(whole.ijk_to_ras, again.ijk_to_ras)


# -- single slices


def moved(change):
    def edit(dataset, k):
        position = [float(v) for v in dataset.ImagePositionPatient]
        dataset.ImagePositionPatient = change(position, k)

    return edit


STACKS = {
    "shift sideways": (moved(lambda p, k: [p[0] + 12 * (k >= 10), *p[1:]]), MixedSeries, "12 mm between slice 10 "),
    "one slice beside": (moved(lambda p, k: [p[0], p[1] + 5 * (k == 7), p[2]]), MixedSeries, "shifted sideways"),
    "tilt": (moved(lambda p, k: [p[0], p[1] + 0.5 * k, p[2]]), SkewedAxes, "tilted gantry"),
    "two spacings": (moved(lambda p, k: [*p[:2], p[2] + 2 * max(0, k - 12)]), SlicesMissing, "uneven distances"),
    "one off": (moved(lambda p, k: [*p[:2], p[2] + 0.6 * (k == 5)]), SlicesMissing, "uneven distances"),
    "a hole": (lambda d, k: False if k in (8, 9) else None, SlicesMissing, "lacks 2 slices: between slice 8 and 9"),
    "a hole, rounded": (lambda d, k: False if k in (8, 9) else rounding(0)(d, k), SlicesMissing, "lacks 2 slices"),
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_each_fault_of_a_series_has_its_own_message(tmp_path, name):
    edit, error, words = STACKS[name]
    write_series(tmp_path, tissue(), edit=edit)
    with pytest.raises(error, match=words):
        read_dicom_volume(tmp_path, Modality.CT)


def test_duplicates_among_rounded_positions_are_not_a_gap(tmp_path):
    paths = write_series(tmp_path, tissue(), spacing=(0.7, 0.7, 0.625), edit=rounding(1))
    for k in (3, 4, 11):
        (tmp_path / f"again-{k}.dcm").write_bytes(paths[k].read_bytes())
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, tissue())
    assert [f.code for f in findings] == ["slices-doubled"] and "3 slices twice" in findings[0].message


def test_the_same_slice_rounded_in_two_ways_is_a_duplicate(tmp_path):
    paths = write_series(tmp_path, tissue(), spacing=(0.7, 0.7, 2.5))
    again = pydicom.dcmread(paths[4])
    again.ImagePositionPatient[2] += 0.04
    again.save_as(tmp_path / "again.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, tissue()) and [f.code for f in findings] == ["slices-doubled"]
    assert volume.spacing[2] == pytest.approx(2.5, abs=1e-3)


# -- multi-frame


def multiframe(folder: Path, change=None, **options) -> Path:
    """A legacy converted enhanced CT of the series. change(dataset): applied before it is written."""
    sources = []
    for path in write_series(folder / "slices", tissue() + 1024, intercept=-1024, patient="A^B", **options):
        sources.append(pydicom.dcmread(path))
    whole = hd.legacy.LegacyConvertedEnhancedCTImage(sources, "1.2.3.4", 1, "1.2.3.5", 1)
    if change is not None:
        change(whole)
    (folder / "whole").mkdir()
    whole.save_as(folder / "whole" / "1.dcm")
    return folder / "whole"


def test_a_multi_frame_ct_of_rounded_positions(tmp_path):
    volume, findings = read_dicom_volume(multiframe(tmp_path, spacing=(0.7, 0.7, 0.625), edit=rounding(1)), Modality.CT)
    slices, _ = read_dicom_volume(tmp_path / "slices", Modality.CT)
    assert findings == [] and np.array_equal(volume.array, tissue())
    assert np.allclose(volume.ijk_to_ras, slices.ijk_to_ras, atol=1e-6)


@pytest.mark.parametrize(("value", "count"), [("00", 0), ("01", 1)])
def test_a_multi_frame_ct_that_was_compressed_with_loss_is_reported(tmp_path, value, count):
    folder = multiframe(tmp_path, lambda dataset: setattr(dataset, "LossyImageCompression", value))
    found = [finding.code for finding in read_dicom_volume(folder, Modality.CT)[1]]
    assert found.count("compressed-with-loss") == count


def test_a_page_beside_a_multi_frame_ct(tmp_path):
    folder = multiframe(tmp_path)
    page = pydicom.dcmread(next((tmp_path / "slices").iterdir()))
    page.SeriesInstanceUID, page.ImageType = "1.2.3.4", ["DERIVED", "SECONDARY", "OTHER"]
    page.StudyInstanceUID = pydicom.dcmread(folder / "1.dcm").StudyInstanceUID
    del page.ImagePositionPatient, page.ImageOrientationPatient
    page.save_as(folder / "0.dcm")
    volume, findings = read_dicom_volume(folder, Modality.CT)
    assert np.array_equal(volume.array, tissue()) and [f.code for f in findings] == ["images-left-out"]


@pytest.mark.parametrize("name", STACKS)
def test_each_fault_of_a_multi_frame_ct_has_the_message_of_a_series(tmp_path, name):
    edit, error, words = STACKS[name]
    with pytest.raises(error, match=words):
        read_dicom_volume(multiframe(tmp_path, edit=edit), Modality.CT)


def own_rescale(dataset) -> None:
    """Give each frame rescale values of its own."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    values = shared.PixelValueTransformationSequence
    del shared.PixelValueTransformationSequence
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence = copy.deepcopy(values)


@pytest.mark.parametrize("how", ["sequence", "RescaleIntercept", "RescaleSlope", "1e30"])
def test_rescale_values_of_one_frame(tmp_path, how):
    def change(dataset):
        own_rescale(dataset)
        frame = dataset.PerFrameFunctionalGroupsSequence[5]
        if how == "sequence":
            del frame.PixelValueTransformationSequence
        elif how == "1e30":
            frame.PixelValueTransformationSequence[0].RescaleSlope = how
        else:
            delattr(frame.PixelValueTransformationSequence[0], how)

    with pytest.raises(BadRescale):
        read_dicom_volume(multiframe(tmp_path, change), Modality.CT)
