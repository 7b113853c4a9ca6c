"""Invalid images and masks in memory: each is refused with a sentence, never a crash.

nibabel loads the voxels of an opened image when they are first used, when the file may already have changed.
"""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from REACTKDLib import Volume, read_case
from REACTKDLib.core.errors import FileMissing, NotAnImage, NotASegmentation, ReactkdError
from REACTKDLib.core.files.label_values import mask_of, whole_labels
from REACTKDLib.core.files.volumes import read_raw
from support.small_cases import small_case

CASE = small_case()
CT = CASE.reference
PLACE = CT.ijk_to_ras
SUFFIXES = (".nii", ".nii.gz", ".img")


def opened(folder, suffix, array=CT.array):
    """A nibabel image whose voxels are not loaded yet, and its file."""
    path = folder / f"ct{suffix}"
    kind = nibabel.Nifti1Pair if suffix == ".img" else nibabel.Nifti1Image
    nibabel.save(kind(np.asarray(array, np.int16).T, PLACE), path)
    return nibabel.load(path), path


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def broken(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 ^ byte for byte in content[middle : middle + 64]) + content[middle + 64 :]


def without_checksum(content: bytes) -> bytes:
    return content[:-8] + bytes(255 ^ byte for byte in content[-8:-4]) + content[-4:]


DAMAGE = {
    **{f"{suffix} cut": (suffix, cut) for suffix in SUFFIXES},
    "stream broken": (".nii.gz", broken),
    "checksum wrong": (".nii.gz", without_checksum),
    "trailer cut": (".nii.gz", lambda content: content[:-4]),
    "empty": (".nii.gz", lambda content: b""),
}


@pytest.mark.parametrize(("suffix", "how"), DAMAGE.values(), ids=DAMAGE)
def test_an_opened_image_with_a_damaged_file_is_refused_like_the_file(tmp_path, suffix, how):
    image, path = opened(tmp_path, suffix)
    path.write_bytes(how(path.read_bytes()))
    with pytest.raises(NotAnImage, match="^The file of the CT is cut off or damaged") as told:
        read_case(image, liver=CASE.liver, tumor=CASE.tumor)
    if suffix != ".img" and path.stat().st_size:  # an empty file has no header, and is refused for that reason
        with pytest.raises(NotAnImage, match="damaged") as of_file:
            read_case(path, liver=CASE.liver, tumor=CASE.tumor)
        # only the file reader can tell a broken stream that is too long from one that is too short
        assert how is broken or str(told.value) == str(of_file.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_opened_image_whose_file_was_removed_is_refused(tmp_path, suffix):
    image, path = opened(tmp_path, suffix)
    path.unlink()
    with pytest.raises(FileMissing, match="the CT was opened from is gone; open it again"):
        read_case(image, liver=CASE.liver, tumor=CASE.tumor)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_masks_of_nibabel_are_checked_like_images(tmp_path, suffix):
    image, path = opened(tmp_path, suffix, CASE.liver)
    assert np.array_equal(read_case(CT, liver=image, tumor=CASE.tumor).tumor, CASE.tumor)
    image, path = opened(tmp_path, suffix, CASE.liver)
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(NotAnImage, match="The file of the liver mask is cut off"):
        read_case(CT, liver=image, tumor=CASE.tumor)


#: dtypes that no image and no mask can have
NO_NUMBERS = {
    "complex": complex, "single complex": np.complex64, "text": str, "bytes": bytes, "dates": "M8[s]",
    "spans": "m8[s]", "objects": object,
}  # fmt: skip


def converted(array, dtype):
    return np.asarray(array).astype(np.int64 if str(dtype)[:2] in ("M8", "m8") else np.int16).astype(dtype)


@pytest.mark.parametrize("dtype", [*NO_NUMBERS.values(), "color"], ids=[*NO_NUMBERS, "color"])
def test_a_volume_must_have_real_numbers(dtype):
    if dtype == "color":
        array = np.zeros(CT.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    else:
        array = converted(CT.array, dtype)
    with pytest.raises(NotAnImage, match=r"^The volume holds no real numbers \(.*\); give"):
        Volume(array, PLACE)
    with pytest.raises(NotAnImage, match=r"^CT holds no real numbers"):
        Volume(array, PLACE, name="CT")
    with pytest.raises(NotAnImage):
        CT.with_array(array)


@pytest.mark.parametrize("which", ["liver", "tumor"])
@pytest.mark.parametrize("dtype", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_a_mask_must_have_numbers(dtype, which):
    masks = {"liver": CASE.liver, "tumor": CASE.tumor}
    masks[which] = converted(masks[which], dtype)
    with pytest.raises(NotASegmentation, match=f"^The {which} mask holds values that are no labels") as told:
        read_case(CT, **masks)
    assert str(told.value).count(";") == 1
    for read in (whole_labels, mask_of):
        with pytest.raises(NotASegmentation):
            read(masks[which], "the mask")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, ">i2", np.uint16, np.int64, np.uint64, np.float16, float])
def test_masks_and_volumes_of_numbers_are_read(dtype):
    expected = read_case(CT, liver=CASE.liver, tumor=CASE.tumor)
    ct = CT if np.dtype(dtype).itemsize < 2 or np.dtype(dtype).kind == "u" else Volume(CT.array.astype(dtype), PLACE)
    case = read_case(ct, liver=CASE.liver.astype(dtype), tumor=CASE.tumor.astype(dtype))
    assert np.array_equal(case.liver, expected.liver) and np.array_equal(case.tumor, expected.tumor)


def test_a_complex_nifti_file_is_refused(tmp_path):
    image = nibabel.Nifti1Image(CT.array.astype(np.complex64).T, PLACE)
    nibabel.save(image, tmp_path / "complex.nii.gz")
    with pytest.raises(ReactkdError):
        read_raw(tmp_path / "complex.nii.gz", "the CT")
    with pytest.raises(NotAnImage, match="The CT holds no real numbers"):
        read_case(image, liver=CASE.liver, tumor=CASE.tumor)
