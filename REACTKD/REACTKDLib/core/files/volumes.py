"""Reading and writing of volumes: NIfTI, NRRD and MetaImage files. ITK writes them; `formats` reads them."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EIO
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import NotAnImage, NotFinite, ReactkdError, SkewedAxes, UsageError
from REACTKDLib.core.files.formats.reading import read_array, read_header
from REACTKDLib.core.files.given_paths import check_path
from REACTKDLib.core.files.headers import LPS_TO_RAS, not_scalar
from REACTKDLib.core.files.straight_axes import NEAREST_ROTATION, skew_of, straightened
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.hounsfield import check_hounsfield
from REACTKDLib.core.images.pet_values import check_pet, in_own_unit
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import checked_stream, written_beside

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
GZIP_LEVEL = 1  # noise does not compress: level 1 is four times faster than level 6 and 5 % larger on a CT


@dataclass(frozen=True, eq=False)
class RawImage:
    """The content of a file: array (D, H, W) or (D, H, W, C), ijk_to_ras (4, 4) mm, the header's text fields.

    findings: remarks on the file for the reader of the case, which callers pass on. other_places: see `Volume`.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    fields: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    other_places: tuple[np.ndarray, ...] = ()


def suffix_of(path: str | os.PathLike) -> str:
    """Return the image suffix of `path`, including ".seg.nrrd" and ".nii.gz", or "" if it is unknown."""
    name = Path(path).name.lower()
    return next((s for s in (".seg.nrrd", ".nii.gz", *SUFFIXES) if name.endswith(s)), "")


def read_volume(path: str | os.PathLike, expect: Modality | None = None) -> Volume:
    """Read a 3-D image and check that it matches its stated modality.

    expect: CT requires Hounsfield units (see `hounsfield`), a PET requires an uptake image and gets its unit from the
    header or else from its values (see `pet_values`); None accepts any image. Messages never contain the path: folder
    names are often patients' names.

    Raises: FileMissing, NotAnImage, NotThreeDimensional, NotFinite, BadSpacing, SingularDirection, SkewedAxes,
    NotHounsfield, NotPet.
    """
    role = ROLES[expect]
    return as_modality(read_raw(path, role), expect, role)


def as_modality(raw: RawImage, expect: Modality | None, role: str) -> Volume:
    """Return an image as a volume, with the checks and errors of `read_volume` except those of the file."""
    if raw.array.ndim != 3:
        raise not_scalar(raw.array.shape[3], role)
    volume = Volume(_compact(raw.array), raw.ijk_to_ras, Unit.UNKNOWN, role, raw.findings, raw.other_places)
    if expect is Modality.CT:
        check_hounsfield(volume.array, role)
        return volume.with_array(volume.array, Unit.HU)
    if expect is not None:
        check_pet(volume.array, role)
        return in_own_unit(volume, raw.fields)
    return volume


def read_raw(path: str | os.PathLike, role: str = _("the image")) -> RawImage:
    """Read an image file completely: a valid header, every voxel, and the checksum of a compressed stream.

    Raises: FileMissing, NotAnImage, NotThreeDimensional, NotFinite, BadSpacing, SingularDirection, SkewedAxes.
    """
    path = Path(path)
    _check_is_file(path, role)
    header = read_header(path, role)
    array = read_array(header, role)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFinite(
            _("{role} holds NaN or infinite voxels; replace them (for CT by -1024) and save it again."), role=role
        )
    return RawImage(array, header.ijk_to_ras, header.fields, header.findings, header.other_places)


def write_volume(volume: Volume, path: str | os.PathLike) -> Path:
    """Write `volume` to `path` in the format of its suffix, atomically; the file is read back as a check.

    Masks are stored as uint8, float64 as float32. NIfTI stores an oblique direction to about 1e-6 in its sform, and
    only perpendicular axes: deviations up to 1e-3 are corrected.

    Raises: what `check_as_file` raises; OutputNotWritable.
    """
    check_as_file(volume, path)
    with written_beside(path) as beside:
        _write_image(volume, beside, suffix_of(path))
    return Path(path)


def check_as_file(volume: Volume, path: str | os.PathLike) -> None:
    """Refuse a volume that cannot be stored in a file of this name, before time is spent on computing its voxels.

    Raises: UsageError for another suffix than .nii, .nii.gz, .nrrd and .mha; SkewedAxes for sheared axes as NIfTI.
    """
    suffix = suffix_of(path)
    if suffix not in (".nii", ".nii.gz", ".nrrd", ".mha"):  # others are two files, so not atomic
        raise UsageError(
            _("An image cannot be written as '{suffix}'; use .nii.gz, .nrrd or .mha."), suffix=Path(path).suffix
        )
    if suffix in (".nii", ".nii.gz") and skew_of(volume.ijk_to_ras[:3, :3]) > NEAREST_ROTATION:
        text = _("The axes of {image} are not perpendicular, and NIfTI cannot hold them; write it as .nrrd or .mha.")
        raise SkewedAxes(text, image=volume.name or _("the image"))


def _check_is_file(path: Path, role: str) -> None:
    if os.path.isdir(path):  # unlike `Path`'s method it never raises, even for a name that is too long
        text = _(
            "A folder was given for {role} where one image file is needed; load a DICOM series in "
            "3D Slicer and save it as NRRD or NIfTI."
        )
        raise NotAnImage(text, role=role)
    check_path(path, role)


def _compact(array: np.ndarray) -> np.ndarray:
    """Keep integers of 16 bits or less; convert everything else to float32 (a CT stays at 2 bytes per voxel)."""
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        return array
    return array.astype(np.float32, copy=False)


def _write_image(volume: Volume, path: Path, suffix: str) -> None:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK would print warnings beside our one sentence
    array = volume.array
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
    array = np.ascontiguousarray(array)
    place = straightened(volume.ijk_to_ras) if suffix in (".nii", ".nii.gz") else volume.ijk_to_ras
    image = sitk.GetImageFromArray(array)
    lps = LPS_TO_RAS @ place
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetSpacing(volume.spacing.tolist())
    image.SetDirection((lps[:3, :3] / volume.spacing).ravel().tolist())
    # ITK's NIfTI writer has no compression level, and writes the time into the gzip header.
    plain = path.with_name(path.name[: -len(".gz")]) if suffix == ".nii.gz" else path
    try:
        sitk.WriteImage(image, str(plain), useCompression=suffix != ".nii", compressionLevel=GZIP_LEVEL)
        _check_written(plain, array, place)
        if plain != path:
            _gzip_file(plain, path)
    except RuntimeError as error:
        raise OSError(EIO, _("the disk refused it")) from error
    finally:
        if plain != path:
            plain.unlink(missing_ok=True)


def _check_written(path: Path, array: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Raise OSError unless `path` contains this image: on a full disk, ITK silently leaves a truncated file."""
    try:
        header = read_header(path, _("the image"))
        found = read_array(header, _("the image"))
    except ReactkdError as error:
        raise OSError(EIO, _("the disk is full or refused it")) from error
    if not _same_voxels(found, array) or not np.allclose(header.ijk_to_ras, ijk_to_ras, rtol=1e-4, atol=1e-3):
        raise OSError(EIO, _("the disk did not keep what was written"))


def _same_voxels(found: np.ndarray, array: np.ndarray) -> bool:
    """Return True if voxels are equal bit by bit, including NaN; by slices, since comparing a whole float image takes
    ten times as long.
    """
    if found.dtype != array.dtype or found.shape != array.shape:
        return np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
    bits = f"u{array.dtype.itemsize}"
    pairs = zip(found, array, strict=True)
    return all(np.array_equal(*(np.ascontiguousarray(part).view(bits) for part in pair)) for pair in pairs)


def _gzip_file(source: Path, target: Path) -> None:
    """Compress without time or name in the header, so that the same volume gives the same bytes."""
    with open(source, "rb") as plain, checked_stream(target) as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=raw, mtime=0) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
