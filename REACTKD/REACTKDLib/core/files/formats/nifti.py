"""NIfTI-1 and NIfTI-2 headers, compressed or not, in one file or two. Format: nifti1.h and nifti2.h of the NIH."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.formats.nifti_place import StatedPlaces, place_of
from REACTKDLib.core.files.formats.voxels import Inflater, is_gzip
from REACTKDLib.core.files.headers import (
    ImageHeader,
    Part,
    check_spacing,
    check_three_dimensional,
    cut_off,
    data_file_missing,
    not_scalar,
    unreadable_header,
)
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

_V1 = {
    "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"), "pixdim": (76, "8f"), "vox_offset": (108, "f"),
    "scale": (112, "2f"), "units": (123, "B"), "codes": (252, "2h"),
    "quatern": (256, "3f"), "qoffset": (268, "3f"), "srow": (280, "12f"),
}  # fmt: skip
_V2 = {
    "datatype": (12, "h"), "bitpix": (14, "h"), "dim": (16, "8q"), "pixdim": (104, "8d"), "vox_offset": (168, "q"),
    "scale": (176, "2d"), "codes": (344, "2i"),
    "quatern": (352, "3d"), "qoffset": (376, "3d"), "srow": (400, "12d"), "units": (500, "i"),
}  # fmt: skip
_SIZES = {348: _V1, 540: _V2}
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_COLORS = (128, 2304)
_MM = {1: 1e3, 3: 1e-3}  # meters, micrometers; everything else is mm


@dataclass(frozen=True)
class _Start:
    """The first bytes of a file. size: of the header. order: byte order. single: the voxels are in the same file."""

    data: bytes
    size: int
    order: str
    single: bool

    def value(self, name: str) -> Any:
        """Return a field of the header, as a tuple if it has several values."""
        offset, form = _SIZES[self.size][name]
        values = struct.unpack_from(self.order + form, self.data, offset)
        return values if len(values) > 1 else values[0]


def is_nifti(start: bytes) -> bool:
    """Return True if a (decompressed) file of at least 348 bytes begins like NIfTI or its predecessor, Analyze."""
    return len(start) >= 348 and any(struct.unpack_from(order + "i", start)[0] in _SIZES for order in "<>")


def first_bytes(path: Path, count: int = 540) -> bytes:
    """Return the first bytes of a file, decompressed if it is a gzip file; fewer at its end."""
    with open(path, "rb") as stream:
        if not is_gzip(path):
            return stream.read(count)
        inflater, data = Inflater(stream), b""
        try:
            while len(data) < count and (more := inflater.read(count - len(data))):
                data += more
        except (EOFError, zlib.error):
            pass
        return data


def nifti_place(header: bytes, role: str) -> tuple[np.ndarray, tuple[Finding, ...], tuple[np.ndarray, ...]]:
    """Return the position of an image from the bytes of its header: ijk_to_ras (4, 4) mm, findings, other stated
    matrices.

    Raises: NotAnImage, NotThreeDimensional, BadSpacing, SingularDirection, SkewedAxes.
    """
    start = _start(header, role)
    return place_of(_stated(start, role), _sizes(start, role)[:3], role)


def read_nifti_header(path: Path, role: str) -> ImageHeader:
    """Return the checked header. Raises: NotAnImage, NotThreeDimensional, BadSpacing, SingularDirection, SkewedAxes."""
    start = _start(first_bytes(path), role)
    sizes = _sizes(start, role)
    dtype = _dtype(start, role)
    place, findings, others = place_of(_stated(start, role), sizes[:3], role)
    part = _part(path, start, role)
    return ImageHeader(
        shape=tuple(sizes[2::-1]),
        dtype=dtype,
        ijk_to_ras=place,
        parts=(part,),
        encoding="deflate" if is_gzip(part.path) else "raw",
        scale=_scale(start, role),
        findings=findings,
        other_places=others,
    )


def _start(data: bytes, role: str) -> _Start:
    if len(data) < 348:
        raise cut_off(role)
    for order in "<>":
        size = struct.unpack_from(order + "i", data)[0]
        magic = data[344:348] if size == 348 else data[4:12]
        if size == 540 and magic in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"):
            if len(data) < 540:
                raise cut_off(role)
            return _Start(data, size, order, magic[1:2] == b"+")
        if size == 348 and magic in (b"n+1\0", b"ni1\0"):
            return _Start(data, size, order, magic[1:2] == b"+")
    text = _(
        "The file of {role} is an Analyze file or a damaged NIfTI file, which does not say "
        "where its axes point; save it as NIfTI, NRRD or MHA."
    )
    raise NotAnImage(text, role=role)


def _sizes(start: _Start, role: str) -> list[int]:
    """Return the size along each axis, i first. Raises: NotAnImage, NotThreeDimensional."""
    dim = start.value("dim")
    if not 1 <= dim[0] <= 7:
        raise unreadable_header(role)
    sizes = [n if number < 3 else max(1, n) for number, n in enumerate(dim[1 : 1 + dim[0]])]
    check_three_dimensional(sizes, role)
    return sizes


def _dtype(start: _Start, role: str) -> np.dtype:
    code, bits = start.value("datatype"), start.value("bitpix")
    if code in _COLORS:
        raise not_scalar(3 if code == 128 else 4, role)
    if code not in _TYPES:
        text = _("The voxels of {role} are of a kind that no scan has (type {code}); save it as 16-bit or float.")
        raise NotAnImage(text, role=role, code=code)
    dtype = np.dtype(start.order + _TYPES[code])
    if bits not in (0, 8 * dtype.itemsize):
        raise unreadable_header(role)
    return dtype


def _stated(start: _Start, role: str) -> StatedPlaces:
    pixdim = np.array(start.value("pixdim"))
    mm = _MM.get(start.value("units") & 7, 1.0)
    check_spacing(pixdim[1:4] * mm, role)
    qform, sform = start.value("codes")
    rows = np.array(start.value("srow")).reshape(3, 4)
    return StatedPlaces(
        pixdim[1:4] * mm,
        -1.0 if pixdim[0] < 0 else 1.0,
        qform,
        np.array(start.value("quatern")),
        np.array(start.value("qoffset")) * mm,
        sform,
        rows * mm,
    )


def _scale(start: _Start, role: str) -> tuple[float, float] | None:
    """Return slope and intercept, or None if there are none.

    A slope of 0 or NaN means none; with an intercept it is an error.
    """
    slope, intercept = (float(v) for v in start.value("scale"))
    none = slope == 0 or np.isnan(slope)
    if none and (intercept == 0 or np.isnan(intercept)):
        return None
    if none or not np.isfinite([slope, intercept]).all() or abs(slope) < np.finfo(float).eps:
        text = _(
            "The header of {role} scales its values by {slope} and adds {intercept}, which gives "
            "no values; export the image again."
        )
        raise NotAnImage(text, role=role, slope=f"{slope:g}", intercept=f"{intercept:g}")
    return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)


def _voxel_file(path: Path, start: _Start, role: str) -> Path:
    if start.single:
        return path
    stem = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for suffix in (".img", ".img.gz", ".IMG"):
        beside = stem.with_suffix(suffix)
        if beside.is_file() and beside != path:
            return beside
    raise data_file_missing(role)


def _part(path: Path, start: _Start, role: str) -> Part:
    offset = start.value("vox_offset")
    if not np.isfinite(offset) or not 0 <= offset <= 1 << 30:
        raise unreadable_header(role)
    file = _voxel_file(path, start, role)
    offset = int(max(offset, start.size)) if start.single else int(offset)
    return Part(file, inside=offset) if is_gzip(file) else Part(file, offset)
