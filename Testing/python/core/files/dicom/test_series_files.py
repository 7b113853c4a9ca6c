"""Files of a series that are unreadable, missing or without preamble: reported with their number, refused, or read."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core.errors import NotAnImage, SlicesMissing
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.index import index_folder, read_header
from REACTKDLib.core.files.dicom.series import is_dicom_source
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, tissue, uid_of, write_series

pytestmark = pytest.mark.filterwarnings("ignore")
SLICES = 8


def stored(seed: int = 0, count: int = SLICES) -> np.ndarray:
    return tissue(count, seed)


def by_code(findings) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


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
def test_unreadable_files_at_the_ends_are_reported_with_their_number(tmp_path, how, ending):
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
def test_an_unreadable_file_inside_the_series_counts_as_a_missing_slice(tmp_path, how):
    paths = write_series(tmp_path, stored())
    paths[5].write_bytes(DAMAGE[how](paths[5].read_bytes()))
    with pytest.raises(SlicesMissing, match=r"lacks 1 slice: .*and 1 file beside them cannot be read"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_files_that_are_not_dicom_are_not_counted(tmp_path):
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


def test_stated_slice_counts_are_compared_with_the_files(tmp_path):
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


def test_image_numbers_show_that_every_second_slice_is_missing(tmp_path):
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
def test_a_slice_with_truncated_pixels_is_refused_as_truncated(tmp_path, tag):
    path = write_series(tmp_path, stored())[-1]
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(tag)])
    with pytest.raises(NotAnImage, match="cut off or damaged"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_slice_counts_are_those_of_the_series_and_not_of_a_phase(tmp_path):
    """Two phases of 8 slices in a series that states 16 images: no slice is missing from either."""

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


def test_two_frames_of_reference_in_one_series_are_reported(tmp_path):
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
def test_files_without_preamble_or_file_meta_are_read(tmp_path, how):
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
        path.write_bytes(content[content.index(b"\x08\x00\x08\x00CS") :])  # from the first element of the dataset on
    with pytest.raises(NotAnImage, match="compressed pixels and does not say how"):
        read_dicom_volume(tmp_path, Modality.CT)


def test_a_pipe_in_the_folder_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "0.dcm")
    write_series(tmp_path, stored())
    assert np.array_equal(read_dicom_volume(tmp_path, Modality.CT)[0].array, stored())
    assert not is_dicom_source(tmp_path / "0.dcm")


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_not_read_as_dicom(content, tmp_path_factory):
    path: Path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(b"\x08\x00" + content)
    assert read_header(path) is None
