"""Images in memory: from SimpleITK or nibabel, and arrays with their position in the patient.

They undergo the same checks as files and give the same values; see `files.volumes.read_volume`.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from REACTKDLib.core.errors import FileMissing, NotFinite, NotHounsfield, NotPet, UsageError
from REACTKDLib.core.files.formats.nifti import is_nifti, nifti_place
from REACTKDLib.core.files.formats.voxels import MOST_AT_ONCE, Inflater
from REACTKDLib.core.files.headers import (
    LPS_TO_RAS,
    check_axes,
    check_origin,
    check_three_dimensional,
    cut_off,
    not_scalar,
)
from REACTKDLib.core.files.volumes import RawImage, as_modality
from REACTKDLib.core.images.volume import Unit, Volume, check_real
from REACTKDLib.core.modality import ROLES, Modality
from REACTKDLib.core.text import tr as _


def raw_image(image: Any, role: str = _("the image")) -> RawImage:
    """Return the array and the position of an image in memory.

    image: a `Volume`, a 3-D SimpleITK image, or a nibabel NIfTI image, whose qform and sform are treated as in a file.
    role: its name in messages.

    Raises: UsageError for anything else, including a bare array; NotAnImage, also for a nibabel image whose file is
    damaged, FileMissing if it is gone; NotThreeDimensional, NotFinite, BadSpacing, SingularDirection, SkewedAxes.
    """
    if isinstance(image, RawImage):
        return image
    if isinstance(image, Volume):
        return RawImage(image.array, image.ijk_to_ras, {}, image.findings, image.other_places)
    if _is_simple_itk(image):
        raw = _from_simple_itk(image, role)
    elif _is_nibabel(image):
        raw = _from_nibabel(image, role)
    elif isinstance(image, np.ndarray):
        text = _("An array does not say where {role} lies in the patient; give Volume(array, ijk_to_ras).")
        raise UsageError(text, role=role)
    else:
        text = _("{role} is given as {kind}; give a file, a Volume, or an image of SimpleITK or nibabel.")
        raise UsageError(text, role=role, kind=type(image).__name__)
    check_real(raw.array, role)
    if raw.array.dtype.kind == "f" and not np.isfinite(raw.array).all():
        text = _("{role} holds NaN or infinite voxels; replace them (for CT by -1024) and give it again.")
        raise NotFinite(text, role=role)
    return raw


def volume_of(image: Any, modality: Modality) -> Volume:
    """Return an image in memory as the volume of a modality, checked as a file would be.

    A `Volume` keeps the unit that it states; the unit of a PET is otherwise inferred from its values.

    Raises: what `raw_image` raises; NotHounsfield, NotPet, also for a `Volume` whose unit belongs to the other kind of
    image.
    """
    role, stated = ROLES[modality], image.unit if isinstance(image, Volume) else Unit.UNKNOWN
    text = _("{role} is given as a volume in {unit}; check which image is which, or state its true unit.")
    if modality is Modality.CT and stated in (Unit.SUVBW, Unit.BQML):
        raise NotHounsfield(text, role=role, unit=stated.value)
    if modality is not Modality.CT and stated is Unit.HU:
        raise NotPet(text, role=role, unit=stated.value)
    volume = as_modality(raw_image(image, role), modality, role)
    if stated is Unit.UNKNOWN:
        return volume
    return replace(volume, unit=stated, unit_inferred=image.unit_inferred)


def _is_simple_itk(image: object) -> bool:
    return type(image).__module__.split(".")[0] == "SimpleITK" and hasattr(image, "GetDirection")


def _is_nibabel(image: object) -> bool:
    return all(hasattr(image, name) for name in ("dataobj", "affine", "header"))


def _from_simple_itk(image: Any, role: str) -> RawImage:
    import SimpleITK as sitk

    sizes = image.GetSize()
    check_three_dimensional(sizes, role)
    array = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise not_scalar(image.GetNumberOfComponentsPerPixel(), role)
    axes = np.reshape(image.GetDirection(), (len(sizes), len(sizes)))[:3, :3] * np.array(image.GetSpacing()[:3])
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = axes, image.GetOrigin()[:3]
    check_axes(axes, role)
    check_origin(place[:3, 3], role)
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return RawImage(array.reshape(array.shape[-3:]), LPS_TO_RAS @ place, fields)


def _from_nibabel(image: Any, role: str) -> RawImage:
    header = getattr(image.header, "binaryblock", b"")
    if not is_nifti(header):
        raise UsageError(_("{role} is an image of nibabel of another format than NIfTI; save it as NIfTI."), role=role)
    check_three_dimensional(image.shape, role)
    place, findings, others = nifti_place(header, role)
    array = _voxels_of_nibabel(image, role).reshape(image.shape[:3])
    return RawImage(np.ascontiguousarray(array.T), place, {}, findings, others)


def _voxels_of_nibabel(image: Any, role: str) -> np.ndarray:
    """Return the values as scaled by nibabel, which reads the file only now."""
    try:
        array = np.asanyarray(image.dataobj)
        _check_stream(getattr(image.dataobj, "file_like", None))
        return array
    except FileNotFoundError as error:
        raise FileMissing(_("The file that {role} was opened from is gone; open it again."), role=role) from error
    except (OSError, EOFError, zlib.error) as error:
        raise cut_off(role) from error


def _check_stream(source: Any) -> None:
    """Read a .gz file to its end: nibabel stops at the last voxel and never checks the checksum after it."""
    if isinstance(source, str | os.PathLike) and os.fspath(source).casefold().endswith(".gz"):
        with open(source, "rb") as stream:
            inflater = Inflater(stream)
            while inflater.read(MOST_AT_ONCE):
                pass
