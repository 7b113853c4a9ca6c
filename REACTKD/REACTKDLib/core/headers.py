"""Faults of an image file that the reading library repairs without a word.

ITK takes the absolute value of a negative spacing, replaces a zero by 1 mm, fills the missing half of a cut-off NIfTI
file with zeros, and turns its NaN into zeros too. In a reading room each of these is a wrong image or a wrong place, so
the file is looked at here first. Only what can be wrong is looked at; everything else is left to ITK.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from REACTKDLib.core.errors import BadSpacing, NotAnImage, NotFinite, NotThreeDimensional, SingularDirection, SkewedAxes
from REACTKDLib.core.text import sentence

NIFTI_SUFFIXES = (".nii", ".nii.gz")
NRRD_SUFFIXES = (".nrrd", ".nhdr")
META_SUFFIXES = (".mha", ".mhd")
_META_BYTES = {
    f"MET_{sign}{name}": size for sign in ("", "U") for name, size in (("CHAR", 1), ("SHORT", 2), ("INT", 4))
}
_META_BYTES |= {"MET_FLOAT": 4, "MET_DOUBLE": 8, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8}
CHUNK = 1 << 22
MAX_TEXT_HEADER = 1 << 20
SKEW_TOLERANCE = 1e-3


def check_header(path: Path, role: str) -> None:
    """Raise if the header of `path` states a geometry or a size that cannot be right.

    role: what the file is for the reader ("the CT"), used in messages instead of its path, which may hold a name.

    Raises: NotAnImage (cut off), NotThreeDimensional, NotFinite, BadSpacing, SingularDirection, SkewedAxes.
    """
    name = path.name.lower()
    if name.endswith(NIFTI_SUFFIXES):
        _check_nifti(path, role)
    elif name.endswith(NRRD_SUFFIXES):
        _check_nrrd(path, role)
    elif name.endswith(META_SUFFIXES):
        _check_meta(path, role)


def check_spacing(values: np.ndarray, role: str) -> None:
    """Raise BadSpacing unless every spacing is a number above zero."""
    if not np.all(np.isfinite(values)) or np.any(np.asarray(values) <= 0):
        shown = " x ".join(f"{v:g}" for v in values)
        raise BadSpacing(
            sentence(
                f"{role} states a voxel spacing of {shown} mm where every value must be above zero; "
                "correct the spacing or export the image again."
            )
        )


def check_axes(axes: np.ndarray, role: str, orthogonal: bool = False) -> None:
    """Raise unless the columns of `axes` (3, 3) span space; with `orthogonal`, also unless they are perpendicular.

    Raises: BadSpacing, SingularDirection, SkewedAxes.
    """
    lengths = np.linalg.norm(axes, axis=0)
    check_spacing(lengths, role)
    unit = axes / lengths
    if abs(np.linalg.det(unit)) < 1e-3:
        raise SingularDirection(
            sentence(f"The axes of {role} lie in one plane; correct its direction matrix or export the image again.")
        )
    if orthogonal and np.abs(unit.T @ unit - np.eye(3)).max() > SKEW_TOLERANCE:
        raise SkewedAxes(
            sentence(
                f"The axes of {role} are not perpendicular (a tilted gantry), which NIfTI readers refuse; "
                "straighten the volume in 3D Slicer or save it as NRRD."
            )
        )


def _check_nifti(path: Path, role: str) -> None:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            try:
                header = stream.read(348)
            except gzip.BadGzipFile:  # not compressed in spite of its name: ITK says what it is
                return
            order = _nifti_byte_order(header)
            if order is None:  # NIfTI-2, Analyze or not an image: ITK says which
                return
            offset, expected = _check_nifti_fields(header, order, role)
            if expected == 0:
                return
            stream.read(offset - 348)
            found = _check_nifti_voxels(stream, _nifti_float(header, order), role)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _cut_off(role) from error
    if found < expected:
        raise _cut_off(role)


def _check_nifti_voxels(stream: BinaryIO, dtype: str | None, role: str) -> int:
    """Return how many bytes of voxels there are. dtype: of floating-point voxels, in which NaN may hide."""
    found = 0
    while chunk := stream.read(CHUNK):
        found += len(chunk)
        if dtype and not np.isfinite(np.frombuffer(chunk[: len(chunk) // 8 * 8], dtype)).all():
            raise NotFinite(
                sentence(f"{role} holds NaN or infinite voxels; replace them (for CT by -1024) and save it again.")
            )
    return found


def _nifti_float(header: bytes, order: str) -> str | None:
    (code,) = struct.unpack_from(order + "h", header, 70)
    return {16: order + "f4", 64: order + "f8"}.get(code)


def _nifti_byte_order(header: bytes) -> str | None:
    if len(header) < 348 or header[344:348] not in (b"n+1\0", b"ni1\0"):
        return None
    return next((order for order in "<>" if struct.unpack_from(order + "i", header)[0] == 348), None)


def _check_nifti_fields(header: bytes, order: str, role: str) -> tuple[int, int]:
    """Check dimensions and geometry; return where the voxels begin and how many bytes they must have."""
    dim = struct.unpack_from(order + "8h", header, 40)
    sizes = [max(1, n) for n in dim[1 : 1 + max(0, min(7, dim[0]))]]
    check_three_dimensional(sizes, role)
    check_spacing(np.array(struct.unpack_from(order + "3f", header, 80)), role)
    qform, sform = struct.unpack_from(order + "2h", header, 252)
    if sform > 0:
        rows = np.array(struct.unpack_from(order + "12f", header, 280)).reshape(3, 4)
        if rows[:, :3].any() or qform <= 0:  # an empty sform beside a good qform is ignored, as ITK does
            check_axes(rows[:, :3], role, orthogonal=True)
    if header[344:348] != b"n+1\0":  # voxels in another file
        return 348, 0
    (bits,) = struct.unpack_from(order + "h", header, 72)
    (offset,) = struct.unpack_from(order + "f", header, 108)
    return int(max(offset, 348)), int(np.prod(sizes, dtype=np.int64)) * bits // 8


def check_three_dimensional(sizes: list[int] | tuple[int, ...], role: str) -> None:
    """Raise NotThreeDimensional unless `sizes` are three of at least two voxels, with ones only beyond the third."""
    if len(sizes) < 3 or min(sizes[:3]) < 2:
        raise NotThreeDimensional(sentence(f"{role} is a single slice, not a volume; give the whole 3-D series."))
    if any(n > 1 for n in sizes[3:]):
        count = int(np.prod(sizes[3:]))
        raise NotThreeDimensional(
            sentence(f"{role} is a 4-D series of {count} volumes where one is needed; save a single one of them.")
        )


def _text_header(path: Path, end: bytes) -> tuple[str, int]:
    with open(path, "rb") as stream:
        head = stream.read(MAX_TEXT_HEADER)
    match = re.search(end, head)
    length = match.end() if match else len(head)
    return head[:length].decode("utf-8", "replace"), length


def _numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split() if word != "none"])


def _check_nrrd(path: Path, role: str) -> None:
    text, _ = _text_header(path, rb"\r?\n\r?\n")
    if not text.startswith("NRRD"):
        return
    fields = dict(re.findall(r"^([a-z ]+): ?(.*?)\r?$", text, re.MULTILINE))
    try:
        if "spacings" in fields:
            spacings = _numbers(fields["spacings"])
            check_spacing(spacings[~np.isnan(spacings)], role)  # NaN is NRRD's "not a spatial axis"
        vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
        if len(vectors) == 3:
            check_axes(np.array([_numbers(v.replace(",", " ")) for v in vectors]).T, role)
    except ValueError as error:
        raise _unreadable_header(role) from error


def _check_meta(path: Path, role: str) -> None:
    text, length = _text_header(path, rb"ElementDataFile *= *[^\n]*\n")
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in text.splitlines())}
    if "NDims" not in fields:
        return
    try:
        spacing = fields.get("ElementSpacing", fields.get("ElementSize", ""))
        check_spacing(_numbers(spacing)[:3], role)
        matrix = _numbers(fields.get("TransformMatrix", fields.get("Rotation", fields.get("Orientation", ""))))
        if matrix.size == 9:
            check_axes(matrix.reshape(3, 3).T, role)
        # ITK prints to the terminal before it fails on a short file: find it first.
        if fields.get("ElementDataFile") == "LOCAL" and path.stat().st_size - length < _meta_bytes(fields):
            raise _cut_off(role)
    except ValueError as error:
        raise _unreadable_header(role) from error


def _meta_bytes(fields: dict[str, str]) -> int:
    """Return how many bytes follow a MetaImage header, at least."""
    if fields.get("CompressedData", "False").lower() == "true":
        return int(fields.get("CompressedDataSize", 0))
    size = _META_BYTES.get(fields.get("ElementType", "").removesuffix("_ARRAY"), 0)
    channels = int(fields.get("ElementNumberOfChannels", 1))
    return int(np.prod(_numbers(fields.get("DimSize", "0")))) * channels * size


def _cut_off(role: str) -> NotAnImage:
    return NotAnImage(sentence(f"The file of {role} is cut off or damaged; copy or export it again."))


def _unreadable_header(role: str) -> NotAnImage:
    return NotAnImage(sentence(f"The header of {role} cannot be read; export the image again as NIfTI, NRRD or MHA."))
