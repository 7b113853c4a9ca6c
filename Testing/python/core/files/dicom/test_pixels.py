"""Meaning and compression of CT values: read correctly, or refused with the quantity or the missing package named."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from REACTKDLib.core.cases.open_case import read_any_segmentation
from REACTKDLib.core.errors import MixedSeries, NotAnImage, NotASegmentation, NotHounsfield
from REACTKDLib.core.files.dicom.ct_kind import check_ct_kind
from REACTKDLib.core.files.dicom.images import read_dicom_volume
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.modality import Modality
from support.dicom_files import pet_tags, tissue, write_seg, write_series

PADDING = -3024


def body(shape=(4, 48, 40)) -> np.ndarray:
    """Tissue with air and padding around it, in HU."""
    values = np.random.default_rng(0).normal(40, 60, shape).round().astype(np.int16)
    values[:, :8], values[:, :, :4] = -1000, PADDING
    return values


def write(folder, signed=True, **options):
    """Write signed values stored as HU, or unsigned ones with an intercept of -3024."""

    def edit(dataset, _k):
        dataset.PixelRepresentation = int(signed)
        dataset.PixelPaddingValue = PADDING if signed else 0

    stored = body() if signed else body() - PADDING
    intercept = 0.0 if signed else float(PADDING)
    return write_series(folder, stored, intercept=intercept, spacing=(0.7, 0.8, 2.5), edit=edit, **options)


# -- compressed


def by_pydicom(path, syntax) -> None:
    dataset = pydicom.dcmread(path)
    dataset.compress(getattr(pydicom.uid, syntax))
    dataset.save_as(path)


def by_gdcm(path, compressor) -> None:
    """Compress as JPEG lossless or JPEG 2000 by GDCM in SimpleITK, and restore the UIDs of the series."""
    import SimpleITK as sitk

    image, uid = sitk.ReadImage(str(path)), pydicom.dcmread(path).SeriesInstanceUID
    narrow = sitk.Cast(image, sitk.sitkInt16)
    for key in image.GetMetaDataKeys():
        narrow.SetMetaData(key, image.GetMetaData(key))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.SetFileName(str(path))
    writer.Execute(narrow)
    packed = pydicom.dcmread(path)
    packed.SeriesInstanceUID = uid
    packed.save_as(path)


PACKED = {
    "RLELossless": (by_pydicom, "RLELossless"),
    "JPEGLSLossless": (by_pydicom, "JPEGLSLossless"),
    "JPEG2000Lossless": (by_gdcm, "JPEG2000"),
    "JPEGLosslessSV1": (by_gdcm, "JPEG"),
}


@pytest.fixture(params=["as installed", "without its packages"])
def decoders(request):
    """pydicom as installed, and as in 3D Slicer: without its decoder packages."""
    decoders = [pydicom.pixels.get_decoder(getattr(pydicom.uid, name)) for name in PACKED if name != "RLELossless"]
    taken = [dict(decoder._available) for decoder in decoders]
    for decoder in decoders if request.param != "as installed" else ():
        decoder._available.clear()
    yield
    for decoder, available in zip(decoders, taken):
        decoder._available.update(available)


@pytest.mark.parametrize("signed", [True, False], ids=["signed with padding", "unsigned"])
@pytest.mark.parametrize("syntax", PACKED)
def test_losslessly_compressed_pixels_are_read_exactly(tmp_path, decoders, syntax, signed):
    pack, how = PACKED[syntax]
    for path in write(tmp_path, signed):
        pack(path, how)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.keyword == syntax
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert np.array_equal(volume.array, body()) and findings == []


MISSING = {
    "HTJ2KLossless": "pylibjpeg pylibjpeg-openjpeg",
    "HTJ2K": "pylibjpeg pylibjpeg-openjpeg",
    "JPEGLosslessSV1": "pylibjpeg pylibjpeg-libjpeg",
}


def stated_as(dataset, syntax) -> None:
    """State a transfer syntax whose decoder is not installed; the pixel data itself does not matter."""
    dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)] * int(dataset.get("NumberOfFrames", 1)))
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)


@pytest.mark.parametrize("syntax", MISSING)
def test_the_missing_package_is_named(tmp_path, syntax):
    for path in write(tmp_path):
        dataset = pydicom.dcmread(path)
        stated_as(dataset, syntax)
        dataset.save_as(path)
    with pytest.raises(NotAnImage) as refused:
        read_dicom_volume(tmp_path, Modality.CT)
    assert f"compressed ({syntax})" in str(refused.value)
    assert str(refused.value).endswith(f"pip install {MISSING[syntax]}")


def test_a_segmentation_whose_pixels_cannot_be_decoded_names_the_package(tmp_path):
    masks = {"Liver": body() > 0, "Mass": body() > 100}
    path = write_seg(tmp_path / "s.dcm", write(tmp_path / "ct"), masks, labelmap=True)
    dataset = pydicom.dcmread(path)
    stated_as(dataset, "HTJ2KLossless")
    dataset.save_as(path)
    with pytest.raises(NotASegmentation, match=r"compressed \(HTJ2KLossless\).*pylibjpeg-openjpeg$"):
        read_dicom_segmentation(path)


def test_damaged_pixels_are_not_reported_as_a_missing_package(tmp_path):
    for path in write(tmp_path):
        dataset = pydicom.dcmread(path)
        stated_as(dataset, "JPEG2000Lossless")
        dataset.save_as(path)
    with pytest.raises(NotAnImage, match="damaged or cut off"):
        read_dicom_volume(tmp_path, Modality.CT)


# -- what the values mean

OTHER = ["MGML", "PCT", "EDW", "ED", "Z_EFF", "OD", "mg/ml"]


@pytest.mark.parametrize("kind", OTHER)
def test_another_quantity_is_refused(tmp_path, kind):
    write_series(tmp_path / "all", body(), common={"RescaleType": kind})
    with pytest.raises(NotHounsfield, match=f"says '{kind.upper()}'; give the CT itself"):
        read_dicom_volume(tmp_path / "all", Modality.CT)

    def edit(dataset, k):
        dataset.RescaleType = kind if k == 2 else "HU"

    write_series(tmp_path / "one", body(), edit=edit)
    with pytest.raises((NotHounsfield, MixedSeries), match=kind.upper()):
        read_dicom_volume(tmp_path / "one", Modality.CT)


@pytest.mark.parametrize("word", ["MAT_SPECIFIC", "IODINE", "EFF_ATOMIC_NUM"])
def test_an_iodine_map_by_its_image_type(tmp_path, word):
    write_series(tmp_path, body(), common={"ImageType": ["DERIVED", "PRIMARY", "AXIAL", word]})
    with pytest.raises(NotHounsfield, match=word):
        read_dicom_volume(tmp_path, Modality.CT)


@pytest.mark.parametrize("kind", ["", "HU", "hu", "US", None])
def test_a_rescale_type_of_hounsfield_units_gives_no_finding(tmp_path, kind):
    write_series(tmp_path, body(), common={} if kind is None else {"RescaleType": kind})
    volume, findings = read_dicom_volume(tmp_path, Modality.CT)
    assert findings == [] and np.array_equal(volume.array, body())


def test_modified_hounsfield_units_are_a_warning(tmp_path):
    write_series(tmp_path, body(), common={"RescaleType": "HU_MOD"})
    volume, (finding,) = read_dicom_volume(tmp_path, Modality.CT)
    assert finding.code == "hounsfield-not-stated" and finding.severity == "warning" and "HU_MOD" in finding.message
    assert np.array_equal(volume.array, body())


@settings(max_examples=60, deadline=None)
@given(kind=st.text(max_size=16), frames=st.booleans())
def test_any_rescale_type_is_hounsfield_open_or_refused(kind, frames):
    header, part = Dataset(), Dataset()
    (part if frames else header).RescaleType = kind
    group = Dataset()
    group.PixelValueTransformationSequence = [part]
    header.SharedFunctionalGroupsSequence = [group]
    told = " ".join(kind.replace("\0", " ").split()).upper()
    try:
        findings = check_ct_kind([header], "the CT")
    except NotHounsfield as error:
        assert told not in ("", "HU", "US", "HU_MOD") and len(str(error)) < 250
    else:
        assert bool(findings) == (told == "HU_MOD")


# -- objects that are not images


def other_object(path, ct, modality, sop_class):
    dataset = pydicom.dcmread(ct)
    del dataset.PixelData
    dataset.Modality, dataset.SOPClassUID = modality, sop_class
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    path.parent.mkdir()
    dataset.save_as(path)
    return path


RT = {"RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3", "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2"}


@pytest.mark.parametrize("modality", RT)
def test_radiotherapy_objects_are_refused_in_one_sentence_each(tmp_path, modality):
    path = other_object(tmp_path / "rt" / "rt.dcm", write(tmp_path / "ct")[0], modality, RT[modality])
    with pytest.raises(MixedSeries, match=f"The CT should be a CT series but is RT .*\\({modality}\\); check"):
        read_dicom_volume(path, Modality.CT)
    with pytest.raises(NotAnImage, match=f"it holds '{modality}'"):
        read_dicom_volume(path.parent, Modality.CT)
    with pytest.raises(NotASegmentation, match="contours" if modality == "RTSTRUCT" else "no DICOM segmentation"):
        read_any_segmentation(path)
    with pytest.raises(NotAnImage, match=f"it holds '{modality}'"):
        read_any_segmentation(path.parent)


@pytest.mark.parametrize("modality", [Modality.CT, Modality.FDG])
@pytest.mark.parametrize("stated", ["in all", "in one", "not"])
def test_images_that_were_compressed_with_loss_are_reported(tmp_path, modality, stated):
    """The header says so for ever, even if the pixels are stored uncompressed since."""

    def edit(dataset, k):
        if stated == "in all" or (stated == "in one" and k == 3):
            dataset.LossyImageCompression = "01"
        elif k == 2:
            dataset.LossyImageCompression = "00"

    pet = modality is Modality.FDG
    stored = np.abs(tissue(6)) if pet else tissue(6)
    write_series(tmp_path, stored, edit=edit, modality="PT" if pet else "CT", common=pet_tags() if pet else {})
    found = [f for f in read_dicom_volume(tmp_path, modality)[1] if f.code == "compressed-with-loss"]
    assert len(found) == (stated != "not")
    assert all(f.severity == "warning" and "export" in f.message for f in found)
