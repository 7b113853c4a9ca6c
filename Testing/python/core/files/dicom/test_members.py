"""Images that are not slices of their series are left out and reported, wherever they lie; no slice is lost."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import AmbiguousSeries, MixedSeries, NotAnImage
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, tissue, uid_of, write_series

pytestmark = pytest.mark.filterwarnings("ignore")
SLICES = 8


def stored(seed: int = 0, count: int = SLICES) -> np.ndarray:
    return tissue(count, seed)


def another(dataset, *, size: int = 8) -> pydicom.Dataset:
    """A copy with the same SeriesInstanceUID and another size."""
    image = copy.deepcopy(dataset)
    image.Rows = image.Columns = size
    image.PixelData = np.full((size, size), 7, "<i2").tobytes()
    return renamed(image)


def renamed(image, number: int = 99) -> pydicom.Dataset:
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid_of("foreign", number, image.ImageType)
    image.InstanceNumber = number
    return image


def scout(dataset) -> pydicom.Dataset:
    image = another(dataset)
    image.ImageType, image.ImageOrientationPatient = ["ORIGINAL", "PRIMARY", "LOCALIZER"], [1, 0, 0, 0, 0, -1]
    return image


def quiet_scout(dataset) -> pydicom.Dataset:
    """A localizer that is not marked as one, of the same size as the slices."""
    image = renamed(copy.deepcopy(dataset))
    image.ImageOrientationPatient, image.ImagePositionPatient = [0, 1, 0, 0, 0, -1], [0, -50, 300]
    return image


def dose_page(dataset) -> pydicom.Dataset:
    image = another(dataset)
    image.ImageType, image.SOPClassUID = ["DERIVED", "SECONDARY", "SCREEN SAVE"], "1.2.840.10008.5.1.4.1.1.7"
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    del image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing
    return image


def colored_page(dataset) -> pydicom.Dataset:
    image = dose_page(dataset)
    image.SOPClassUID, image.ImageType = dataset.SOPClassUID, ["DERIVED", "SECONDARY", "OTHER"]
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = bytes(8 * 8 * 3)
    return image


def unplaced(dataset) -> pydicom.Dataset:
    image = another(dataset)
    del image.ImagePositionPatient, image.ImageOrientationPatient
    return image


def monitor(dataset) -> pydicom.Dataset:
    """A bolus tracking slice: axial, within the stack, with larger pixels."""
    image = renamed(copy.deepcopy(dataset))
    image.PixelSpacing, image.ImagePositionPatient = [2.0, 2.0], [-10, -12, 107.0]
    return image


def raw_data(dataset) -> pydicom.Dataset:
    """A raw data object, which scanners store next to the images with the same modality."""
    image = dose_page(dataset)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.3.12.2.1107.5.9.1"
    del image.Rows, image.Columns, image.PixelData
    return image


FOREIGN = {f.__name__: f for f in (scout, quiet_scout, dose_page, colored_page, unplaced, monitor, raw_data)}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("file", ["0.dcm", "9.dcm"], ids=["first", "last"])
def test_a_foreign_image_is_left_out_wherever_it_lies(tmp_path, name, file):
    paths = write_series(tmp_path, stored())
    alone, _ = read_dicom_volume(tmp_path, Modality.CT)
    FOREIGN[name](pydicom.dcmread(paths[3])).save_as(tmp_path / file)
    for source in (tmp_path, paths[2]):
        volume, findings = read_dicom_volume(source, Modality.CT)
        assert np.array_equal(volume.array, stored()) and np.array_equal(volume.ijk_to_ras, alone.ijk_to_ras)
        assert [(f.code, f.severity) for f in findings] == [("images-left-out", "info")]
        assert "1 object" in findings[0].message if name == "raw_data" else "1 image" in findings[0].message
    with pytest.raises(NotAnImage):
        read_dicom_volume(tmp_path / file, Modality.CT)


def test_several_foreign_images_are_counted_by_kind(tmp_path):
    paths = write_series(tmp_path, stored())
    first = pydicom.dcmread(paths[0])
    for n, image in enumerate([scout(first), scout(first), dose_page(first), unplaced(first)]):
        image.save_as(tmp_path / f"0-{n}.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored())
    assert findings[0].message == (
        "The series of the CT holds 2 images that are localizers or projections and 1 image that is a page or a "
        "picture of a screen and 1 image without a place in the patient beside its slices; they were left out."
    )


def test_slices_that_are_all_stored_as_secondary_captures_are_a_volume(tmp_path):
    """Converters write whole scans as Secondary Capture, with positions and rescale values; here with one CT image."""

    def edit(dataset, k):
        if k != 3:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"

    write_series(tmp_path, stored(), edit=edit)
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, stored())


ELSEWHERE = sorted(set(FOREIGN) - {"monitor"})  # a monitor slice may lie where the stack would continue


@settings(max_examples=8, deadline=None)
@given(
    order=st.permutations(range(SLICES)), step=st.floats(0.6, 6), places=st.sampled_from([1, 2, 6]),
    foreign=st.dictionaries(st.sampled_from(ELSEWHERE), st.integers(0, 99), max_size=2),
    bare_file=st.integers(0, SLICES - 1),
)  # fmt: skip
def test_any_order_with_any_foreign_images_is_the_same_volume(order, step, places, foreign, bare_file):
    def edit(dataset, k):
        dataset.ImagePositionPatient[2] = round(100 + step * k, places)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_series(folder, stored(), spacing=(1, 1, step), edit=edit, order=order)
        for which, number in foreign.items():
            FOREIGN[which](pydicom.dcmread(paths[0])).save_as(folder / f"{number:02d}-{which}.dcm")
        paths[bare_file].write_bytes(paths[bare_file].read_bytes()[132:])
        volume, findings = read_dicom_volume(folder, Modality.CT)
    assert np.array_equal(volume.array, stored())
    found = volume.ijk_to_ras[2, 3] + volume.ijk_to_ras[2, 2] * np.arange(SLICES)
    assert np.abs(found - 100 - step * np.arange(SLICES)).max() < 0.1
    assert [f.code for f in findings] == ["images-left-out"] * bool(foreign)


def test_a_foreign_image_in_a_pet(tmp_path):
    counts = np.random.default_rng(3).integers(0, 9000, (SLICES, 8, 8)).astype(np.int16)
    paths = write_series(tmp_path, counts, modality="PT", common=pet_tags(Units="GML"))
    image = dose_page(pydicom.dcmread(paths[0]))
    del image.RescaleSlope, image.Units
    image.save_as(tmp_path / "0.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.FDG)
    assert np.array_equal(volume.array, counts) and [f.code for f in findings] == ["images-left-out"]


def test_a_slice_marked_as_localizer_is_never_dropped_silently(tmp_path):
    word = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    for k in (0, 4, SLICES - 1):
        write_series(
            tmp_path / str(k), stored(), edit=lambda d, n, k=k: setattr(d, "ImageType", word) if n == k else None
        )
        with pytest.raises(MixedSeries, match="different size or orientation"):
            read_dicom_volume(tmp_path / str(k), Modality.CT)


def test_a_series_of_dose_pages_and_a_single_image_are_ignored(tmp_path):
    paths = write_series(tmp_path, stored())
    page, single = dose_page(pydicom.dcmread(paths[0])), another(pydicom.dcmread(paths[0]))
    for name, image in (("page", page), ("single", single)):
        image.SeriesInstanceUID = uid_of(name)
        image.save_as(tmp_path / f"{name}.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored()) and findings == []


def test_a_slice_with_a_damaged_series_uid_is_never_dropped_silently(tmp_path):
    (path,) = write_series(tmp_path, stored())[-1:]
    dataset = pydicom.dcmread(path)
    dataset.SeriesInstanceUID += "1"
    dataset.save_as(path)
    with pytest.raises(AmbiguousSeries, match="holds 2 CT series"):
        read_dicom_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 0, -1), (1, 0, 0, 0, 1, 0)], ids=["coronal", "axial of other pixels"])
def test_two_stacks_of_similar_size_are_refused(tmp_path, axes):
    write_series(tmp_path, stored())
    write_series(tmp_path, stored(1, 5), axes=axes, spacing=(3, 3, 3), origin=(0, 0, 500), first_file=50)
    with pytest.raises(MixedSeries, match="different size or orientation"):
        read_dicom_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("k", [0, 5, SLICES - 1])
@pytest.mark.parametrize("change", ["size", "pixels"])
def test_a_slice_that_differs_from_the_stack_is_refused(tmp_path, k, change):
    def edit(dataset, n):
        if n == k and change == "size":
            dataset.Rows, dataset.PixelData = 5, dataset.PixelData[:120]
        if n == k and change == "pixels":
            dataset.PixelSpacing = [0.5, 0.5]

    write_series(tmp_path, stored(), edit=edit)
    with pytest.raises(MixedSeries, match="different size or orientation"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_a_slice_without_position_is_a_warning_at_an_end_and_refused_inside_the_stack(tmp_path):
    def edit(at):
        return lambda d, k: delattr(d, "ImagePositionPatient") if k == at else None

    write_series(tmp_path / "end", stored(), edit=edit(SLICES - 1))
    volume, findings = read_dicom_volume(tmp_path / "end", Modality.CT)
    assert np.array_equal(volume.array, stored()[:-1])
    assert [(f.code, f.severity) for f in findings] == [("images-left-out", "warning")]
    write_series(tmp_path / "within", stored(), edit=edit(5))
    with pytest.raises(MixedSeries, match="where they lie"):
        read_dicom_volume(tmp_path / "within", Modality.CT)


@pytest.mark.parametrize("z", ["1e308", "-1e30", "NaN", "1e6"])
def test_an_impossible_position_counts_as_missing(tmp_path, z, capfd):
    def edit(dataset, k):
        if k == 4:
            dataset.ImagePositionPatient = ["-10", "-12", z]

    write_series(tmp_path, stored(), edit=edit)
    with pytest.raises(MixedSeries, match="where they lie"):
        read_dicom_volume(tmp_path, Modality.CT)
    assert capfd.readouterr().err == ""


def test_a_foreign_image_of_another_patient_is_refused(tmp_path):
    paths = write_series(tmp_path, stored())
    image = scout(pydicom.dcmread(paths[0]))
    image.PatientID = "HCC_900"
    image.save_as(tmp_path / "0.dcm")
    with pytest.raises(MixedSeries, match="different patients"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_a_series_of_scouts_alone_is_no_volume(tmp_path):
    write_series(tmp_path, stored(), common={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    with pytest.raises(NotAnImage, match="only localizers or projections"):
        read_dicom_volume(tmp_path, Modality.CT)
