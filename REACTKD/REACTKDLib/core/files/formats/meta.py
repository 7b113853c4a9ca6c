"""MetaImage headers, attached (.mha) or detached (.mhd). Format: https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import BadSpacing, NotAnImage
from REACTKDLib.core.files.formats.data_files import data_files, named_files
from REACTKDLib.core.files.formats.text_header import text_header
from REACTKDLib.core.files.headers import (
    LPS_TO_RAS,
    ImageHeader,
    Part,
    check_axes,
    check_origin,
    check_spacing,
    check_three_dimensional,
    incomplete_geometry,
    numbers,
    unreadable_header,
    whole_number,
    whole_numbers,
)
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

_TYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4",
    "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8",
}  # fmt: skip
_MOST_DIMENSIONS = 10
_END = re.compile(rb"(?:^|\n)ElementDataFile *[=:][^\n]*(?:\n|$)")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def read_meta_header(path: Path, role: str) -> ImageHeader:
    """Return the checked header. Raises: NotAnImage, NotThreeDimensional, BadSpacing, SingularDirection."""
    lines, length, ended = text_header(path, _END, role)
    fields = _parsed(lines, role)
    if not ended or fields.get("ObjectType", "Image").casefold() != "image":
        raise unreadable_header(role)
    sizes = whole_numbers(fields.get("DimSize", ""), role)
    if not 1 <= whole_number(fields.get("NDims", ""), role) == len(sizes) <= _MOST_DIMENSIONS:
        raise unreadable_header(role)
    check_three_dimensional(sizes, role)
    place, findings = _place(fields, len(sizes), role)
    channels = whole_number(fields.get("ElementNumberOfChannels", "1"), role)
    if not 1 <= channels <= 1 << 10:
        raise unreadable_header(role)
    _check_values(fields, role)
    shape = tuple(sizes[::-1]) + ((channels,) if channels > 1 else ())
    packed = _flag(fields, "CompressedData", False, role)
    text = not _flag(fields, "BinaryData", True, role)
    if text and packed:
        raise unreadable_header(role)
    return ImageHeader(
        shape=shape,
        dtype=_dtype(fields, role),
        ijk_to_ras=place,
        parts=_parts(fields, path, length, sizes, role),
        encoding="text" if text else "deflate" if packed else "raw",
        channels=len(shape) - 1 if channels > 1 else None,
        fields=fields,
        findings=findings,
    )


def is_meta(start: str) -> bool:
    """Return True if a file begins with lines of a MetaImage header."""
    return re.search(r"^NDims *[=:]", start, re.MULTILINE) is not None and start.lstrip()[:1].isalpha()


def _parsed(lines: Sequence[str], role: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            continue
        name, sign, value = re.split("([=:])", line, maxsplit=1) if re.search("[=:]", line) else (line, "", "")
        name, value = name.strip(), value.strip()
        if not sign or (name in fields and fields[name] != value):
            raise unreadable_header(role)
        fields[name] = value
    return fields


def _flag(fields: Mapping[str, str], name: str, default: bool, role: str) -> bool:
    try:
        return _FLAGS[fields[name].casefold()] if name in fields else default
    except KeyError as error:
        raise unreadable_header(role) from error


def _dtype(fields: Mapping[str, str], role: str) -> np.dtype:
    code = _TYPES.get(fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY"))
    if code is None:
        raise unreadable_header(role)
    orders = {
        _flag(fields, name, False, role) for name in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB") if name in fields
    }
    if len(orders) > 1:
        raise unreadable_header(role)
    return np.dtype((">" if True in orders else "<") + code)


def _check_values(fields: Mapping[str, str], role: str) -> None:
    """Raise if the header states a scale of the values, which other readers do not apply."""
    slope = numbers(fields.get("ElementToIntensityFunctionSlope", "1"), role)
    offset = numbers(fields.get("ElementToIntensityFunctionOffset", "0"), role)
    if slope.tolist() != [1.0] or offset.tolist() != [0.0]:
        text = _("The header of {role} scales its values, which readers ignore; export it with its true values.")
        raise NotAnImage(text, role=role)


def _place(fields: Mapping[str, str], count: int, role: str) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return ijk_to_ras, and findings about it."""
    if fields.get("DistanceUnits", "mm").casefold() not in ("mm", "?", ""):
        raise BadSpacing(_("{role} states its geometry in another unit than mm; export it again in mm."), role=role)
    spacing = _values(fields, ("ElementSpacing", "ElementSize"), count, role)
    matrix = _values(fields, ("TransformMatrix", "Rotation", "Orientation"), count * count, role)
    origin = _values(fields, ("Offset", "Position", "Origin"), count, role)
    texts = {_("its voxel spacing"): spacing, _("which way its axes point"): matrix, _("where it lies"): origin}
    missing = [text for text, values in texts.items() if values is None]
    lps = np.eye(4)
    if matrix is not None:
        axes = matrix.reshape(count, count).T[:3, :3]
        check_axes(axes, role)
        if np.abs(np.linalg.norm(axes, axis=0) - 1).max() > 1e-2 and spacing is not None:
            raise BadSpacing(
                _("{role} states voxel sizes in its direction matrix and beside it; export the image again."), role=role
            )
        lps[:3, :3] = axes
    if spacing is not None:
        check_spacing(spacing[:3], role)
        lps[:3, :3] = lps[:3, :3] * spacing[:3]
    if origin is not None:
        check_origin(origin[:3], role)
        lps[:3, 3] = origin[:3]
    findings = (incomplete_geometry(missing, role),) if missing else ()
    return LPS_TO_RAS @ lps, findings


def _values(fields: Mapping[str, str], names: Sequence[str], count: int, role: str) -> np.ndarray | None:
    stated = [numbers(fields[name], role) for name in names if name in fields]
    if any(values.size != count for values in stated):
        raise unreadable_header(role)
    # Alternative names of the same field; only the element size may differ from the spacing.
    if names[0] != "ElementSpacing" and any(not np.array_equal(values, stated[0]) for values in stated[1:]):
        raise unreadable_header(role)
    return stated[0] if stated else None


def _parts(fields: Mapping[str, str], path: Path, length: int, sizes: Sequence[int], role: str) -> tuple[Part, ...]:
    name = fields["ElementDataFile"]
    skip = whole_number(fields.get("HeaderSize", "0"), role)
    packed = whole_number(fields.get("CompressedDataSize", "0"), role) or None
    if skip < -1 or (packed is not None and packed < 0):
        raise unreadable_header(role)
    if name.casefold() == "local":
        return (Part(path, -1 if skip == -1 else length + skip, packed),)
    files = _files(name, path, length, sizes, role)
    return tuple(Part(file, skip, packed if len(files) == 1 else None) for file in files)


def _files(name: str, path: Path, length: int, sizes: Sequence[int], role: str) -> tuple[Path, ...]:
    """Return the data files, in the order of the slices."""
    depth = len(sizes) - 1
    if name.split()[:1] == ["LIST"]:
        stated = re.fullmatch(r"LIST(?:\s+(\d)D?)?", name)
        if stated is None:
            raise unreadable_header(role)
        depth = int(stated[1] or depth)
        with open(path, "rb") as stream:
            stream.seek(length)
            rest = stream.read(1 << 24).decode("utf-8", "replace")
        files = named_files([text for text in rest.splitlines() if text.strip()], path, role)
    else:
        files, more = data_files(name, path, role)
        if more is None:
            return files
        if more:
            raise unreadable_header(role)
    if math.prod(sizes[depth:]) != len(files):
        raise unreadable_header(role)
    return files
