"""Reading of image files of all supported formats: detection of the format, the header, the voxels.

The format is recognized by content, not by file name. No library decodes the file: ITK silently repairs some faults,
never checks a stream's checksum, prints to the terminal, and crashes on some headers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.formats.meta import is_meta, read_meta_header
from REACTKDLib.core.files.formats.nifti import first_bytes, is_nifti, read_nifti_header
from REACTKDLib.core.files.formats.nrrd import read_nrrd_header
from REACTKDLib.core.files.formats.voxels import is_gzip, read_voxels
from REACTKDLib.core.files.headers import ImageHeader, cut_off, not_an_image
from REACTKDLib.core.text import tr as _

_SLABS = 1 << 24  # voxels scaled at a time, in double precision
_LOOK = 1 << 14


def read_header(path: Path, role: str) -> ImageHeader:
    """Return the checked header of an image file, without its voxels.

    role: the name of the file in messages ("the CT"), used instead of its path, which may contain a patient's name.

    Raises: NotAnImage, NotThreeDimensional, BadSpacing, SingularDirection, SkewedAxes.
    """
    try:
        return _read_header(path, role)
    except OSError as error:
        raise NotAnImage(
            _("The file of {role} cannot be read ({reason}); copy it again."), role=role, reason=error.strerror
        ) from error


def _read_header(path: Path, role: str) -> ImageHeader:
    start = first_bytes(path, _LOOK)
    if is_nifti(start):
        return read_nifti_header(path, role)
    if is_gzip(path):
        raise cut_off(role) if len(start) < 348 else not_an_image(role)
    if start.startswith(b"NRRD"):
        return read_nrrd_header(path, role)
    if is_meta(start.decode("latin-1")):
        return read_meta_header(path, role)
    if path.suffix.lower() == ".img" and path.with_suffix(".hdr").is_file():
        return read_nifti_header(path.with_suffix(".hdr"), role)
    raise not_an_image(role)


def read_array(header: ImageHeader, role: str) -> np.ndarray:
    """Return the values as (D, H, W), or as (D, H, W, C) if each voxel has several.

    Raises: NotAnImage for damage; see `voxels.read_voxels`.
    """
    array = read_voxels(header, role)
    if header.channels is not None:
        array = np.moveaxis(array, header.channels, -1)
        array = array.reshape(*array.shape[-4:-1], -1) if array.ndim > 4 else array
        array = array[..., 0] if array.shape[-1] == 1 else np.ascontiguousarray(array)
    else:
        array = array.reshape(array.shape[-3:])
    return array if header.scale is None else _scaled(array, *header.scale)


def _scaled(array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return values times slope plus intercept: computed in double precision, stored in single unless the input is
    double.
    """
    out = np.empty(array.shape, dtype=np.float64 if array.dtype.itemsize == 8 else np.float32)
    step = max(1, _SLABS // max(1, array[0].size))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(array), step):
            out[first : first + step] = array[first : first + step].astype(np.float64) * slope + intercept
    return out
