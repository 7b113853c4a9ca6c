"""Images that are no slices, files that cannot be read, files without preamble: told, left out, or read."""

from __future__ import annotations

import copy
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.case import Modality
from REACTKDLib.core.dicom.images import read_dicom_volume
from REACTKDLib.core.dicom.index import index_folder
from REACTKDLib.core.dicom.series import is_dicom_source
from REACTKDLib.core.errors import AmbiguousSeries, MixedSeries, NotAnImage, SlicesMissing
from REACTKDLib.core.findings import Finding
from support.dicom_files import pet_tags, uid_of, write_series

pytestmark = pytest.mark.filterwarnings("ignore")
SLICES = 8


def stored(seed: int = 0, count: int = SLICES) -> np.ndarray:
    values = np.random.default_rng(seed).normal(40, 25, (count, 10, 12))
    values[:, :3] = -1000
    return np.rint(values).astype(np.int16)


def by_code(findings) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


# -- foreign images


def another(dataset, *, size: int = 8) -> pydicom.Dataset:
    """A copy under the same SeriesInstanceUID, of another size."""
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
    """A scout that does not say so, of the slices' own size."""
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
    """The slice in which the bolus is awaited: axial, within the stack, with larger pixels."""
    image = renamed(copy.deepcopy(dataset))
    image.PixelSpacing, image.ImagePositionPatient = [2.0, 2.0], [-10, -12, 107.0]
    return image


def raw_data(dataset) -> pydicom.Dataset:
    """What scanners keep beside their images, under the images' own modality."""
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


def test_slices_that_were_all_stored_as_captures_are_a_volume_still(tmp_path):
    """Converters write whole scans as Secondary Capture, with places and rescale values; here beside one CT image."""

    def edit(dataset, k):
        if k != 3:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"

    write_series(tmp_path, stored(), edit=edit)
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, stored())


ELSEWHERE = sorted(set(FOREIGN) - {"monitor"})  # that one may lie where the stack would go on


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
    assert np.array_equal(volume.array, counts) and list(by_code(findings)) == ["images-left-out"]


def test_a_slice_that_calls_itself_a_localizer_is_not_lost_in_silence(tmp_path):
    word = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    for k in (0, 4, SLICES - 1):
        write_series(
            tmp_path / str(k), stored(), edit=lambda d, n, k=k: setattr(d, "ImageType", word) if n == k else None
        )
        with pytest.raises(MixedSeries, match="different size or orientation"):
            read_dicom_volume(tmp_path / str(k), Modality.CT)


def test_a_series_of_pages_and_a_single_image_are_no_choice(tmp_path):
    paths = write_series(tmp_path, stored())
    page, single = dose_page(pydicom.dcmread(paths[0])), another(pydicom.dcmread(paths[0]))
    for name, image in (("page", page), ("single", single)):
        image.SeriesInstanceUID = uid_of(name)
        image.save_as(tmp_path / f"{name}.dcm")
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored()) and findings == []


def test_a_slice_whose_series_uid_is_damaged_is_not_lost_in_silence(tmp_path):
    (path,) = write_series(tmp_path, stored())[-1:]
    dataset = pydicom.dcmread(path)
    dataset.SeriesInstanceUID += "1"
    dataset.save_as(path)
    with pytest.raises(AmbiguousSeries, match="holds 2 CT series"):
        read_dicom_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 0, -1), (1, 0, 0, 0, 1, 0)], ids=["coronal", "axial of other pixels"])
def test_two_stacks_of_similar_count_stay_refused(tmp_path, axes):
    write_series(tmp_path, stored())
    write_series(tmp_path, stored(1, 5), axes=axes, spacing=(3, 3, 3), origin=(0, 0, 500), first_file=50)
    with pytest.raises(MixedSeries, match="different size or orientation"):
        read_dicom_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("k", [0, 5, SLICES - 1])
@pytest.mark.parametrize("change", ["size", "pixels"])
def test_a_slice_of_the_stack_that_differs_is_not_lost_in_silence(tmp_path, k, change):
    def edit(dataset, n):
        if n == k and change == "size":
            dataset.Rows, dataset.PixelData = 5, dataset.PixelData[:120]
        if n == k and change == "pixels":
            dataset.PixelSpacing = [0.5, 0.5]

    write_series(tmp_path, stored(), edit=edit)
    with pytest.raises(MixedSeries, match="different size or orientation"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_a_slice_that_lost_its_place_is_a_warning_at_an_end_and_refused_within(tmp_path):
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
def test_a_position_that_cannot_be_is_none(tmp_path, z, capfd):
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


# -- files that cannot be read


DAMAGE = {
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "cut in its file meta": lambda content: content[:150],
    "cut in its header": lambda content: content[:700],
    "cut before its size": lambda content: content[: content.index(b"\x28\x00\x10\x00")],
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    "preamble alone": lambda content: content[:132],
}


@pytest.mark.parametrize(("how", "ending"), [*((how, ".dcm") for how in DAMAGE), ("empty", ""), ("noise", ".IMA")])
def test_files_that_cannot_be_read_at_the_ends_are_told_with_their_number(tmp_path, how, ending):
    for path in write_series(tmp_path, stored()):
        path.rename(path.with_suffix(ending))
    files = sorted(tmp_path.iterdir())
    for path in (files[0], files[-2], files[-1]):
        path.write_bytes(DAMAGE[how](path.read_bytes()))
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored()[1:-2])
    told = by_code(findings)["files-unreadable"]
    assert told.severity == "warning" and told.message.startswith("3 files beside the slices of the CT cannot be read")


@pytest.mark.parametrize("how", DAMAGE)
def test_a_file_that_cannot_be_read_within_the_series_is_a_slice_that_lacks(tmp_path, how):
    paths = write_series(tmp_path, stored())
    paths[5].write_bytes(DAMAGE[how](paths[5].read_bytes()))
    with pytest.raises(SlicesMissing, match=r"lacks 1 slice: .*and 1 file beside them cannot be read"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_what_is_no_dicom_is_not_counted(tmp_path):
    write_series(tmp_path, stored())
    for name, content in {
        "LICENSE": b"CC BY 4.0", "readme.txt": b"x", "DICOMDIR": b"x", "dicomdir": b"x", "Thumbs.db": b"\0\1\2",
        "a.png": b"\x89PNG\0", "case.nii.gz": b"\x1f\x8b\0", "notes.json": b"{}", "2-001.txt": b"",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / "linux64").write_bytes(b"\x7fELF\0\0")
    assert read_dicom_volume(tmp_path, Modality.CT)[1] == []


def test_a_damaged_file_of_another_series_is_not_counted(tmp_path):
    write_series(tmp_path / "ct", stored())
    paths = write_series(tmp_path / "other", stored(1), name="other", modality="PT", common=pet_tags())
    paths[-1].write_bytes(b"")
    assert read_dicom_volume(tmp_path, Modality.CT)[1] == []
    assert index_folder(tmp_path).of_modality("PT")[0].unreadable == 1


def test_counts_that_the_headers_state(tmp_path):
    counts = np.random.default_rng(3).integers(0, 9000, (SLICES, 8, 8)).astype(np.int16)
    paths = write_series(tmp_path / "pet", counts, modality="PT", common={**pet_tags(), "NumberOfSlices": SLICES})
    assert read_dicom_volume(tmp_path / "pet", Modality.FDG)[1] == []
    for path in paths[-3:]:
        path.unlink()
    (told,) = read_dicom_volume(tmp_path / "pet", Modality.FDG)[1]
    assert (told.code, told.severity) == ("slices-maybe-lacking", "warning")
    assert "has 5 slices where its header states 8" in told.message
    paths = write_series(tmp_path / "ct", stored())
    for path in paths[:3]:
        path.unlink()
    (told,) = read_dicom_volume(tmp_path / "ct", Modality.CT)[1]
    assert (told.code, told.severity) == ("slices-maybe-lacking", "info") and "numbered from 4" in told.message


def test_every_second_slice_lost_is_told_by_the_image_numbers(tmp_path):
    for path in write_series(tmp_path, stored())[1::2]:
        path.unlink()
    volume, (told,) = read_dicom_volume(tmp_path, Modality.CT)
    assert volume.spacing[2] == pytest.approx(4.0) and np.array_equal(volume.array, stored()[::2])
    assert (told.code, told.severity) == (
        "slices-maybe-lacking",
        "info",
    ) and "3 image numbers are left out" in told.message


@pytest.mark.parametrize(
    "tag", [b"\x28\x00\x02\x01", b"\xe0\x7f\x10\x00"], ids=["before the rescale", "before the pixels"]
)
def test_a_slice_whose_pixels_are_cut_off_is_refused_as_that(tmp_path, tag):
    path = write_series(tmp_path, stored())[-1]
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(tag)])
    with pytest.raises(NotAnImage, match="cut off or damaged"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_counts_are_those_of_the_series_and_not_of_a_phase(tmp_path):
    """Two phases of 8 slices in a series that states 16 images: nothing lacks in either."""

    def edit(number, first):
        def change(dataset, k):
            dataset.AcquisitionNumber, dataset.InstanceNumber = number, first + k + 1
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid_of(number, k)

        return change

    common = {"ImagesInAcquisition": 2 * SLICES}
    for number, first in ((1, 0), (2, SLICES)):
        write_series(tmp_path, stored(number), first_file=first, common=common, edit=edit(number, first))
    for file, number in (("1-002.dcm", 1), ("1-010.dcm", 2)):
        volume, findings = read_dicom_volume(tmp_path / file, Modality.CT)
        assert np.array_equal(volume.array, stored(number)) and findings == []


def test_two_frames_of_reference_in_one_series_are_told(tmp_path):
    def edit(dataset, k):
        if k >= 4:
            dataset.FrameOfReferenceUID = uid_of("another")

    write_series(tmp_path, stored(), edit=edit)
    volume, (told,) = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, stored())
    assert (told.code, told.severity) == ("frames-of-reference-mixed", "warning") and "2 frames" in told.message


# -- without preamble or file meta


def bare(content: bytes, how: str) -> bytes:
    if how == "no preamble":
        return content[132:]
    dataset, out = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
    syntax = how.removeprefix("no preamble, ").removeprefix("no meta, ")
    implicit, little = {"explicit": (False, True), "implicit": (True, True), "big endian": (False, False)}[syntax]
    if not little:
        dataset["PixelData"].VR = "OW"
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
    del dataset.file_meta
    dataset.preamble = None
    pydicom.dcmwrite(out, dataset, implicit_vr=implicit, little_endian=little, force_encoding=True)
    written = out.getvalue()
    return bytes(128) + b"DICM" + written if how.startswith("no meta") else written


@pytest.mark.parametrize(
    "how",
    ["no preamble", "no preamble, explicit", "no preamble, implicit", "no preamble, big endian", "no meta, explicit",
     "no meta, implicit"],
)  # fmt: skip
def test_without_preamble_or_file_meta(tmp_path, how):
    paths = write_series(tmp_path, stored() + 1024, intercept=-1024)
    before, _ = read_dicom_volume(tmp_path, Modality.CT)
    for path in paths:
        path.write_bytes(bare(path.read_bytes(), how))
    for source in (tmp_path, paths[2]):
        volume, findings = read_dicom_volume(source, Modality.CT)
        assert findings == [] and np.array_equal(volume.array, stored())
        assert np.array_equal(volume.ijk_to_ras, before.ijk_to_ras)


def test_compressed_pixels_without_a_transfer_syntax_are_refused(tmp_path):
    for path in write_series(tmp_path, stored()):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
        dataset.save_as(path)
        content = path.read_bytes()
        path.write_bytes(content[content.index(b"\x08\x00\x08\x00CS") :])  # from the first element on
    with pytest.raises(NotAnImage, match="compressed pixels and does not say how"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_a_pipe_in_the_folder_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "0.dcm")
    write_series(tmp_path, stored())
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, stored())
    assert not is_dicom_source(tmp_path / "0.dcm")


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=400))
def test_other_bytes_are_not_taken_for_dicom(content, tmp_path_factory):
    from REACTKDLib.core.dicom.index import read_header

    path: Path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(b"\x08\x00" + content)
    assert read_header(path) is None
