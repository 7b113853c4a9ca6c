"""CT and PET series: spatial order, per-slice slopes, gaps, duplicates, stacked phases, and real series."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import (
    AmbiguousSeries,
    MixedSeries,
    NotAnImage,
    NotHounsfield,
    NotThreeDimensional,
    PetUnitRefused,
    ReactkdError,
    SkewedAxes,
    SlicesMissing,
    StackedPhases,
    WrongTracer,
)
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.index import index_folder
from REACTKDLib.core.files.dicom.multiframe import read_multiframe
from REACTKDLib.core.files.dicom.phases import split_phases
from REACTKDLib.core.files.dicom.series import read_stack
from REACTKDLib.core.files.volumes import read_volume
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from support.dicom_files import ACETATE_DRUG, C11, pet_tags, write_series
from support.real_data import hcc_tace_048, real_data


def body(seed: int = 0, shape: tuple[int, int, int] = (6, 10, 12)) -> np.ndarray:
    """Air, fat and soft tissue in HU, with a different value in every plane."""
    values = np.random.default_rng(seed).normal(40, 25, shape)
    values[:, :2] = -1000
    values[:, 2:4] = -90
    return np.rint(values + np.arange(shape[0])[:, None, None]).astype(np.int16)


def codes(findings) -> set[str]:
    return {finding.code for finding in findings}


def test_a_series_in_any_file_order_gives_the_same_volume(tmp_path):
    stored = body()
    write_series(tmp_path, stored, spacing=(0.7, 0.8, 2.5), origin=(-20, -30, 50), order=[3, 0, 5, 1, 4, 2])
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored) and volume.array.dtype == np.int16
    assert volume.unit is Unit.HU and findings == []
    assert np.allclose(volume.ijk_to_ras, [[-0.7, 0, 0, 20], [0, -0.8, 0, 30], [0, 0, 2.5, 50], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "axes", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0.8, 0.6)]
)
def test_the_position_agrees_with_itk(tmp_path, axes):
    import SimpleITK as sitk

    write_series(tmp_path, body(), spacing=(0.7, 0.8, 2.5), axes=axes, order=[5, 4, 3, 2, 1, 0])
    volume, _ = read_dicom_volume(tmp_path, Modality.CT)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
    for index in ((0, 0, 0), (11, 9, 5), (3, 7, 2)):
        lps = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(volume.ijk_to_ras @ [*index, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-4)


def test_the_slope_of_each_slice_is_applied(tmp_path):
    stored = np.random.default_rng(1).integers(0, 3000, (5, 8, 8)).astype(np.int16)
    slopes = np.array([0.5, 1.25, 2.0, 0.125, 3.5])
    write_series(tmp_path, stored, modality="PT", slope=slopes, common=pet_tags(Units="GML"))
    volume, _ = read_dicom_volume(tmp_path, Modality.FDG)
    assert np.allclose(volume.array, stored * slopes[:, None, None], rtol=1e-6)


def test_rescale_intercept_makes_hounsfield_units(tmp_path):
    write_series(tmp_path, body() + 1024, intercept=-1024)
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, body())


def test_a_missing_slice_is_located(tmp_path):
    paths = write_series(tmp_path, body())
    paths[3].unlink()
    with pytest.raises(SlicesMissing, match=r"lacks 1 slice: between slice 3 and 4 of 5 there are 4 mm, not 2"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_uneven_distances_are_refused(tmp_path):
    def move(dataset, k):
        if k == 4:
            dataset.ImagePositionPatient[2] += 0.5

    write_series(tmp_path, body(), edit=move)
    with pytest.raises(SlicesMissing, match="uneven"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_rounded_positions_are_not_a_gap(tmp_path):
    def rounded(dataset, k):
        dataset.ImagePositionPatient[2] = round(100 + 1.6667 * k, 2)

    write_series(tmp_path, body(), spacing=(1, 1, 1.6667), edit=rounded)
    assert read_dicom_volume(tmp_path, Modality.CT)[0].spacing[2] == pytest.approx(1.6667, abs=2e-3)


def test_duplicated_slices_are_left_out_and_reported(tmp_path):
    paths = write_series(tmp_path, body())
    shutil.copy(paths[2], tmp_path / "again.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, body())
    assert codes(findings) == {"slices-doubled"} and "1 slice twice" in findings[0].message


def stacked(folder, how: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = body(0), body(1) + 60

    def late(dataset, k):
        dataset.SOPInstanceUID += ".2"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = k + 1 + (6 if how != "nothing" else 0)
        if how == "acquisition":
            dataset.AcquisitionNumber = 2
        if how == "time":
            dataset.AcquisitionTime = "100045"

    def early(dataset, k):
        if how in ("instance", "nothing"):
            del dataset.AcquisitionNumber

    write_series(folder, first, edit=early)
    write_series(folder, second, edit=lambda d, k: (early(d, k), late(d, k)) and None, first_file=6)
    return first, second


@pytest.mark.parametrize("how", ["acquisition", "time", "instance"])
def test_stacked_phases_are_separated(tmp_path, how):
    first, second = stacked(tmp_path, how)
    with pytest.raises(StackedPhases, match=r"2 acquisitions in one series \(6 \+ 6 images"):
        read_dicom_volume(tmp_path, Modality.CT)
    phases = split_phases(index_folder(tmp_path).series[0], "the CT")
    assert [len(phase) for phase in phases] == [6, 6]
    for file, truth in (("1-002.dcm", first), ("1-009.dcm", second)):  # a file selects its phase
        assert np.array_equal(read_dicom_volume(tmp_path / file, Modality.CT)[0].array, truth)


def test_time_frames_are_in_the_order_of_their_numbers(tmp_path):
    def frame(number):
        def edit(dataset, k):
            dataset.SOPInstanceUID += f".{number}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.TemporalPositionIdentifier = number
            del dataset.AcquisitionNumber

        return edit

    for number in range(1, 12):
        write_series(tmp_path, body(shape=(2, 4, 4)), edit=frame(number), first_file=10 * number)
    phases = split_phases(index_folder(tmp_path).series[0], "the CT")
    assert [phase[0].moment for phase in phases] == [str(number) for number in range(1, 12)]


def test_a_hidden_file_is_refused_with_a_sentence(tmp_path):
    paths = write_series(tmp_path, body())
    hidden = shutil.move(paths[2], tmp_path / ".hidden.dcm")
    with pytest.raises(SlicesMissing):
        read_dicom_volume(hidden, Modality.CT)
    for path in paths:
        path.unlink(missing_ok=True)
    with pytest.raises(NotThreeDimensional):
        read_dicom_volume(hidden, Modality.CT)


def test_acquisitions_that_lie_end_to_end_are_one_scan(tmp_path):
    def steps(dataset, k):
        dataset.AcquisitionNumber = 1 + k // 3

    write_series(tmp_path, body(), edit=steps)
    assert read_dicom_volume(tmp_path, Modality.CT)[0].shape == (6, 10, 12)


def test_several_series_are_listed_without_the_patient(tmp_path):
    write_series(tmp_path / "a", body(), name="LIVER 3 PHASE", patient="Jane Doe")
    write_series(tmp_path / "b", body(1), name="Recon 2", patient="Jane Doe")
    with pytest.raises(AmbiguousSeries, match=r"holds 2 CT series: .*'2 LIVER 3 PHASE \(6 images\)'") as caught:
        read_dicom_volume(tmp_path, Modality.CT)
    assert "Doe" not in str(caught.value)
    assert np.array_equal(read_dicom_volume(tmp_path / "b" / "1-001.dcm", Modality.CT)[0].array, body(1))


def test_a_scout_beside_the_series_is_ignored(tmp_path):
    write_series(tmp_path, body())
    write_series(tmp_path / "s", body(1), name="scout", common={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, body())


def test_other_files_in_the_folder_are_ignored(tmp_path):
    write_series(tmp_path, body())
    (tmp_path / "LICENSE").write_text("CC BY 4.0")
    (tmp_path / "cut.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\0")
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    index = index_folder(tmp_path)
    assert (len(index.series), index.files, index.passed_over) == (1, 8, 2)
    assert read_dicom_volume(tmp_path, Modality.CT)[0].shape == (6, 10, 12)


REFUSALS = {
    "nothing": (None, NotAnImage, "no DICOM images"),
    "one slice": (lambda d, k: k == 0, NotThreeDimensional, "single slice"),
    "tilted gantry": (lambda d, k: _tilt(d, k), SkewedAxes, "tilted"),
    "no position": (lambda d, k: delattr(d, "ImagePositionPatient"), MixedSeries, "where they lie"),
    "no orientation": (lambda d, k: delattr(d, "ImageOrientationPatient"), MixedSeries, "where they lie"),
    "no pixel spacing": (lambda d, k: delattr(d, "PixelSpacing"), MixedSeries, "size of its pixels"),
    "another size": (lambda d, k: _smaller(d) if k == 2 else None, MixedSeries, "different size"),
    "another axis": (lambda d, k: setattr(d, "ImageOrientationPatient", [0, 1, 0, -1, 0, 0]) if k == 3 else None,
                     MixedSeries, "orientation"),
    "cut-off pixels": (lambda d, k: setattr(d, "PixelData", d.PixelData[:50]), NotAnImage, "cut off"),
    "slope of zero": (lambda d, k: setattr(d, "RescaleSlope", "0"), NotAnImage, "slope of zero"),
    "no intercept": (lambda d, k: setattr(d, "RescaleIntercept", "4000"), NotHounsfield, "Hounsfield"),
}  # fmt: skip


def _tilt(dataset, k):
    dataset.ImagePositionPatient[1] += 0.5 * k


def _smaller(dataset):
    dataset.Rows = 5
    dataset.PixelData = dataset.PixelData[:120]


@pytest.mark.parametrize("name", REFUSALS)
def test_each_unusable_series_is_refused_with_its_error(tmp_path, name):
    edit, error, words = REFUSALS[name]
    if edit is not None:
        write_series(tmp_path, body(), edit=lambda d, k: False if edit(d, k) is False else None)
    with pytest.raises(error, match=words) as caught:
        read_dicom_volume(tmp_path, Modality.CT)
    assert str(tmp_path) not in str(caught.value)


def test_a_pet_given_as_ct_and_a_ct_given_as_pet_are_refused(tmp_path):
    paths = write_series(tmp_path, body())
    with pytest.raises(NotAnImage, match=r"no PET series \(it holds 'CT'\)"):
        read_dicom_volume(tmp_path, Modality.FDG)
    with pytest.raises(MixedSeries, match="should be a PET series but is CT"):
        read_dicom_volume(paths[0], Modality.FDG)


# -- PET


def pet(folder, **tags):
    stored = np.random.default_rng(3).integers(0, 9000, (5, 8, 8)).astype(np.int16)
    write_series(folder, stored, modality="PT", common={k: v for k, v in pet_tags(**tags).items() if v is not None})
    return stored


def test_a_pet_is_converted_to_suv(tmp_path):
    stored = pet(tmp_path)
    volume, findings = read_dicom_volume(tmp_path, Modality.FDG)
    assert volume.unit is Unit.SUVBW and findings == []
    assert np.allclose(volume.array, stored * (70_000 / (350e6 * 2 ** (-3600 / 6586.2))), rtol=1e-5)


def test_acetate_uses_the_half_life_of_its_nuclide(tmp_path):
    tags = {"drug": ACETATE_DRUG, "nuclide": C11, "half_life": 1224.0, "RadiopharmaceuticalStartTime": "094000"}
    stored = pet(tmp_path, **tags)
    volume, findings = read_dicom_volume(tmp_path, Modality.ACETATE)
    assert volume.unit is Unit.SUVBW and findings == []
    assert np.allclose(volume.array, stored * (70_000 / (350e6 * 2 ** (-1200 / 1224))), rtol=1e-5)
    with pytest.raises(WrongTracer, match=r"11C-acetate .* \(--acetate\)"):
        read_dicom_volume(tmp_path, Modality.FDG)


def test_gml_is_not_converted_twice(tmp_path):
    stored = pet(tmp_path, Units="GML", DecayCorrection="ADMIN")
    volume, _ = read_dicom_volume(tmp_path, Modality.FDG)
    assert volume.unit is Unit.SUVBW and np.array_equal(volume.array, stored)


def test_a_missing_weight_leaves_becquerel_and_is_reported(tmp_path):
    stored = pet(tmp_path, PatientWeight=None)
    volume, findings = read_dicom_volume(tmp_path, Modality.FDG)
    assert volume.unit is Unit.BQML and np.array_equal(volume.array, stored)
    assert codes(findings) == {"suv-refused"} and "weight is missing" in findings[0].message


def test_units_without_activity_are_refused_with_the_reason(tmp_path):
    pet(tmp_path, Units="PROPCNTS")
    with pytest.raises(PetUnitRefused, match="The FDG PET cannot be used: its units are 'PROPCNTS'"):
        read_dicom_volume(tmp_path, Modality.FDG)


# -- real series


def test_a_real_pet_series_agrees_with_its_published_conversion():
    data = real_data("acrin_nsclc_042")
    volume, findings = read_dicom_volume(data / "PET_dicom", Modality.FDG)
    becquerel = read_volume(data / "PET_BQML.nii.gz", Modality.FDG)
    assert findings == [] and volume.unit is Unit.SUVBW and becquerel.unit is Unit.BQML
    assert float(volume.array.max()) == pytest.approx(51.1, abs=0.1)
    same = becquerel.array > 1000
    assert float(np.median(volume.array[same] / becquerel.array[same])) == pytest.approx(4.2111e-4, rel=1e-4)
    assert np.allclose(volume.array, becquerel.array * 4.2111e-4, rtol=2e-4, atol=1e-4)
    assert np.allclose(volume.ijk_to_ras, becquerel.ijk_to_ras, atol=1e-3)


def test_sts001_is_suv_already():
    (path,) = (p for p in (real_data("sts001_petct") / "PET").rglob("*.nii*") if "mask" not in str(p))
    volume = read_volume(path, Modality.FDG)
    assert volume.unit is Unit.SUVBW and float(volume.array.max()) == pytest.approx(25.41, abs=0.01)


def test_hcc_048_is_read_in_spatial_order_with_its_padding():
    folder = real_data("hcc_tace_048") / "dicom"
    volume, findings = read_dicom_volume(folder, Modality.CT)
    truth = hcc_tace_048()
    assert findings == [] and volume.shape == (89, 512, 512) and volume.array.dtype == np.int16
    assert np.array_equal(volume.array, truth.array) and np.allclose(volume.ijk_to_ras, truth.ijk_to_ras, atol=1e-4)
    assert (volume.array < -1024).mean() == pytest.approx(0.21, abs=0.01) and volume.array.min() == -2048
    heights = [piece.position[2] for piece in index_folder(folder).series[0].slices]
    assert heights != sorted(heights) and heights != sorted(heights, reverse=True), "file order is not spatial order"


def test_a_multi_frame_ct_is_the_same_as_its_slices():
    data = real_data("dicom_seg") / "24x38x3"
    (whole,) = index_folder(data / "multiframe").series
    assert whole.multiframe and len(whole.slices) == 1
    series = index_folder(data / "image").series[0]
    frames = read_multiframe(whole, "the CT")
    slices, findings, _ = read_stack(series, series.slices, "the CT")
    assert findings == [] and np.array_equal(frames.array, slices.array) and frames.array.dtype == np.int16
    assert np.allclose(frames.ijk_to_ras, slices.ijk_to_ras, atol=1e-3)


def multiframe_file(folder, name="one.dcm", change=lambda dataset: None):
    """A modified copy of the real multi-frame CT."""
    (path,) = (real_data("dicom_seg") / "24x38x3" / "multiframe").iterdir()
    dataset = pydicom.dcmread(path)
    change(dataset)
    folder.mkdir(exist_ok=True)
    dataset.save_as(folder / name)
    return folder / name


def test_two_multi_frame_files_are_not_one_volume(tmp_path):
    def another(dataset):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()

    multiframe_file(tmp_path / "two"), multiframe_file(tmp_path / "two", "other.dcm", another)
    (series,) = index_folder(tmp_path / "two").series
    with pytest.raises(MixedSeries, match="The CT holds 2 multi-frame files; give the one that is meant"):
        read_multiframe(series, "the CT")


def test_frames_that_make_no_single_volume_are_refused(tmp_path):
    """A file with two phases has two frames at one position."""

    def doubled(dataset):
        first, second = dataset.PerFrameFunctionalGroupsSequence[:2]
        place = first.PlanePositionSequence[0].ImagePositionPatient
        second.PlanePositionSequence[0].ImagePositionPatient = place

    multiframe_file(tmp_path / "phases", change=doubled)
    (series,) = index_folder(tmp_path / "phases").series
    with pytest.raises((MixedSeries, SlicesMissing)) as told:
        read_multiframe(series, "the CT")
    assert str(told.value).startswith("The CT ")


def test_a_missing_or_truncated_multi_frame_file_is_refused(tmp_path):
    path = multiframe_file(tmp_path / "cut")
    (series,) = index_folder(tmp_path / "cut").series
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(NotAnImage, match="The file of the CT cannot be read; copy or export it again"):
        read_multiframe(series, "the CT")


# -- any header


@pytest.fixture(scope="module")
def good_files(tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("good")
    paths = write_series(folder, body(shape=(4, 6, 6)) + 1024, modality="PT", common=pet_tags())
    return [path.read_bytes() for path in paths]


TAGS = (
    "ImagePositionPatient ImageOrientationPatient PixelSpacing RescaleSlope AcquisitionNumber Units PatientWeight "
    "RadiopharmaceuticalInformationSequence Modality Rows SOPInstanceUID SeriesTime CorrectedImage InstanceNumber "
    "BitsAllocated PixelRepresentation PixelData"
).split()


@settings(max_examples=50, deadline=None)
@given(
    changed=st.lists(st.tuples(st.integers(0, 3), st.integers(200, 2200), st.integers(0, 255)), max_size=12),
    lost=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(TAGS)), max_size=2),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(good_files, changed, lost):
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(good_files):
            damaged = bytearray(without(content, [tag for which, tag in lost if which == number]))
            for which, place, value in changed:
                if which == number and place < len(damaged):
                    damaged[place] = value
            (Path(folder) / f"{number}.dcm").write_bytes(damaged)
        try:
            volume, _ = read_dicom_volume(folder, Modality.FDG)
        except ReactkdError as error:
            assert str(error).endswith(".") and len(str(error)) > 20 and folder not in str(error)
        else:
            assert np.isfinite(volume.array).all() and volume.array.max() > volume.array.min()


def without(content: bytes, tags: list[str]) -> bytes:
    dataset, out = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
    for tag in tags:
        if tag in dataset:
            delattr(dataset, tag)
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.fixture(params=["as installed", "without a decoder in pydicom"])
def decoders(request):
    """pydicom's JPEG 2000 decoders are removed, so that ITK has to decode."""
    decoder = pydicom.pixels.get_decoder(pydicom.uid.JPEG2000Lossless)
    taken = dict(decoder._available)
    if request.param != "as installed":
        decoder._available.clear()
    yield
    decoder._available.update(taken)


def test_losslessly_compressed_pixels_are_read_exactly(tmp_path, decoders):
    truth = body(shape=(4, 64, 64))
    plain = write_series(tmp_path / "plain", truth + 1024, intercept=-1024, spacing=(0.7, 0.8, 2.5))
    (tmp_path / "packed").mkdir()
    for path in plain:
        pack(path, tmp_path / "packed" / path.name)
    volume, findings = read_dicom_volume(tmp_path / "packed", Modality.CT)
    assert findings == [] and np.array_equal(volume.array, truth) and volume.array.dtype == np.int16
    assert np.allclose(volume.ijk_to_ras, read_dicom_volume(tmp_path / "plain", Modality.CT)[0].ijk_to_ras)


def pack(path: Path, target: Path) -> None:
    """Write a slice with lossless JPEG 2000 pixels, by ITK."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    narrow = sitk.Cast(image, sitk.sitkInt16)
    for key in image.GetMetaDataKeys():
        narrow.SetMetaData(key, image.GetMetaData(key))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG2000")
    writer.SetFileName(str(target))
    writer.Execute(narrow)
    packed = pydicom.dcmread(target)
    assert packed.file_meta.TransferSyntaxUID == pydicom.uid.JPEG2000Lossless
    packed.SeriesInstanceUID = pydicom.dcmread(path).SeriesInstanceUID
    packed.save_as(target)


def test_run_length_encoded_pixels_are_read_exactly(tmp_path):
    for path in write_series(tmp_path, body()):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, body())
