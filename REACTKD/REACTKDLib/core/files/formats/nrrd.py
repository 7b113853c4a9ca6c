"""NRRD headers, attached or detached. Format: https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import BadSpacing, NotAnImage, NotThreeDimensional
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
from REACTKDLib.core.images.pet_values import STANDARD_FIELD
from REACTKDLib.core.text import tr as _

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_NUMPY = {name: code for code, names in _TYPES.items() for name in names}
_ENCODINGS = {
    "raw": "raw", "gzip": "deflate", "gz": "deflate", "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
}  # fmt: skip
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_OTHER_SPACES = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
_GEOMETRY_FREE = {
    "content", "number", "thicknesses", "axis maxs", "axismaxs", "labels", "units", "min", "max", "old min", "oldmin",
    "old max", "oldmax", "sample units", "sampleunits", "measurement frame",
}  # fmt: skip
_KNOWN = _GEOMETRY_FREE | {
    "type", "dimension", "sizes", "encoding", "endian", "space", "space dimension", "space origin", "space directions",
    "space units", "spacings", "axis mins", "axismins", "kinds", "centers", "centerings", "line skip", "lineskip",
    "byte skip", "byteskip", "data file", "datafile",
}  # fmt: skip
_SPATIAL = ("domain", "space", "???", "none")
_MM = ("", "mm", "millimeter", "millimeters", "millimetre", "millimetres", "???")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_END = re.compile(rb"\n\r?\n")


def read_nrrd_header(path: Path, role: str) -> ImageHeader:
    """Return the checked header. Raises: NotAnImage, NotThreeDimensional, BadSpacing, SingularDirection."""
    lines, length, ended = text_header(path, _END, role)
    fields, pairs, names = _parsed(lines, role)
    try:
        sizes, dtype = whole_numbers(fields["sizes"], role), _dtype(fields, role)
        if whole_numbers(fields["dimension"], role) != [len(sizes)]:
            raise unreadable_header(role)
        encoding = _ENCODINGS.get(fields["encoding"].casefold())
    except KeyError as error:
        raise unreadable_header(role) from error
    if encoding is None:
        text = _("The voxels of {role} are packed in a way that is not read; save it as NRRD with gzip, or as NIfTI.")
        raise NotAnImage(text, role=role)
    channels, space = _axes(fields, sizes, role)
    check_three_dimensional([sizes[n] for n in space], role)
    place, findings = _place(fields, space[:3], sizes, role)
    return ImageHeader(
        shape=tuple(sizes[::-1]),
        dtype=dtype,
        ijk_to_ras=place,
        parts=_parts(fields, names, path, length if ended else None, sizes, role),
        encoding=encoding,
        channels=None if channels is None else len(sizes) - 1 - channels,
        fields=_texts(fields, pairs),
        findings=findings,
    )


def _parsed(lines: Sequence[str], role: str) -> tuple[dict[str, str], dict[str, str], list[str] | None]:
    """Return the fields, the key/value pairs, and the names that follow "data file: LIST"."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            break
        if line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if colon and value.startswith("="):
            pairs[name] = value[1:].replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
            continue
        name = name.casefold().strip()
        if not colon or name not in _KNOWN or name in fields:  # a misspelled field would silently lose the geometry
            raise unreadable_header(role)
        fields[name] = value.strip()
        if name in ("data file", "datafile") and value.split()[:1] == ["LIST"]:
            return fields, pairs, [text for text in lines[number:] if text.strip()]
    return fields, pairs, None


def _texts(fields: Mapping[str, str], pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the key/value pairs, and the unit of the values if the format's own field states one."""
    own = fields.get("sample units", fields.get("sampleunits"))
    return dict(pairs) if own is None else {**pairs, STANDARD_FIELD: own}


def _dtype(fields: Mapping[str, str], role: str) -> np.dtype:
    code = _NUMPY.get(" ".join(fields["type"].casefold().split()))
    endian = fields.get("endian", "little" if code in ("i1", "u1") else "").casefold()
    if code is None or (endian not in ("little", "big") and fields["encoding"].casefold() in ("raw", "gz", "gzip")):
        raise unreadable_header(role)
    return np.dtype((">" if endian == "big" else "<") + code)


def _axes(fields: Mapping[str, str], sizes: Sequence[int], role: str) -> tuple[int | None, list[int]]:
    """Return the axis that holds the values of one voxel, if there is one, and the spatial and further axes."""
    kinds = fields.get("kinds", "").casefold().split() or ["domain"] * len(sizes)
    if len(kinds) != len(sizes):
        raise unreadable_header(role)
    ranges = [n for n, kind in enumerate(kinds) if kind not in (*_SPATIAL, "time")]
    vectors = _vectors(fields, len(sizes), role)
    unplaced = [n for n, vector in enumerate(vectors or ()) if vector is None and n not in ranges]
    if not ranges and len(sizes) == 4 and len(unplaced) == 1 and kinds[unplaced[0]] != "time":
        ranges = unplaced  # no kind, but no spatial direction either
    if len(ranges) > 1:
        raise unreadable_header(role)
    space = [n for n in range(len(sizes)) if n not in ranges]
    if "time" in (kinds[n] for n in space[:3]):
        text = _("{role} has an axis of time where one of space is needed; save a single 3-D volume of it.")
        raise NotThreeDimensional(text, role=role)
    if vectors and any(vectors[n] is None for n in space[:3]):
        raise unreadable_header(role)
    return (ranges[0] if ranges else None), space


def _vectors(fields: Mapping[str, str], count: int, role: str) -> list[np.ndarray | None] | None:
    if "space directions" not in fields:
        return None
    words = re.findall(r"none|\([^()]*\)", fields["space directions"])
    if len(words) != count or re.sub(r"none|\([^()]*\)", "", fields["space directions"]).strip():
        raise unreadable_header(role)
    vectors = [None if word == "none" else _vector(word, role, nan=True) for word in words]
    return [None if vector is None or np.isnan(vector).all() else vector for vector in vectors]


def _vector(word: str, role: str, nan: bool = False) -> np.ndarray:
    text = word.strip()
    if not (text.startswith("(") and text.endswith(")")):
        raise unreadable_header(role)
    values = numbers(text[1:-1].replace(",", " "), role, nan)
    if values.size != 3:
        raise unreadable_header(role)
    return values


def _place(
    fields: Mapping[str, str], space: Sequence[int], sizes: Sequence[int], role: str
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return ijk_to_ras, and findings. space: the axes of i, j and k in the file."""
    missing = []
    flips = _flips(fields, role)
    if flips is None:
        missing.append(_("which way its axes point"))
    _check_units(fields, space, len(sizes), role)
    lps = np.eye(4)
    vectors = _vectors(fields, len(sizes), role)
    if vectors is not None:
        if "spacings" in fields:
            raise BadSpacing(_("{role} states its voxel spacing twice; export the image again."), role=role)
        lps[:3, :3] = np.array([vectors[n] for n in space]).T
        check_axes(lps[:3, :3], role)
        lps[:3, 3] = _vector(fields["space origin"], role) if "space origin" in fields else 0
    else:
        spacing, stated = _spacings(fields, space, len(sizes), role)
        if not stated:
            missing.insert(0, _("its voxel spacing"))
        lps[:3, :3] = np.diag(spacing)
        lps[:3, 3] = _mins(fields, space, len(sizes), spacing, role)
        if "space origin" in fields:
            raise unreadable_header(role)
    check_origin(lps[:3, 3], role)
    if flips is not None:
        lps[:3] *= np.array(flips)[:, None]
    findings = (incomplete_geometry(missing, role),) if missing else ()
    return LPS_TO_RAS @ lps, findings


def _flips(fields: Mapping[str, str], role: str) -> tuple[int, int, int] | None:
    """Return the signs that convert the stated space to LPS; None if it is not a patient space."""
    space = fields.get("space", "").casefold()
    if "space dimension" in fields and ("space" in fields or whole_numbers(fields["space dimension"], role) != [3]):
        raise unreadable_header(role)
    if space and space not in _TO_LPS and space not in _OTHER_SPACES:
        raise unreadable_header(role)
    return _TO_LPS.get(space)


def _check_units(fields: Mapping[str, str], space: Sequence[int], count: int, role: str) -> None:
    """Raise for spatial axes in a unit other than mm. `count` axes in all; others may be seconds or counts."""
    along = _quoted(fields["units"], count, role) if "units" in fields else []
    units = [along[n] for n in space] if along else []
    if "space units" in fields:
        units += _quoted(fields["space units"], 3, role)
    if any(unit.strip().casefold() not in _MM for unit in units):
        raise BadSpacing(_("{role} states its geometry in another unit than mm; export it again in mm."), role=role)


def _quoted(text: str, count: int, role: str) -> list[str]:
    """Return the `count` strings of a list in quotes; the format requires the quotes, so nothing is guessed without
    them.
    """
    if not re.fullmatch(rf"(?:{_QUOTED}\s*)+", text):
        raise unreadable_header(role)
    found = re.findall(_QUOTED, text)
    if len(found) != count:
        raise unreadable_header(role)
    return found


def _spacings(fields: Mapping[str, str], space: Sequence[int], count: int, role: str) -> tuple[np.ndarray, bool]:
    if "spacings" not in fields:
        if "axis maxs" in fields or "axismaxs" in fields:
            raise unreadable_header(role)  # a size computed from the ends of the axes: no image reader supports it
        return np.ones(3), False
    values = numbers(fields["spacings"], role, nan=True)
    if values.size != count:
        raise unreadable_header(role)
    values = values[list(space)]
    check_spacing(values[~np.isnan(values)], role)  # NaN means "unknown" in NRRD
    return np.where(np.isnan(values), 1.0, values), not np.isnan(values).any()


def _mins(fields: Mapping[str, str], space: Sequence[int], count: int, spacing: np.ndarray, role: str) -> np.ndarray:
    """Return the first voxel's center from the minima of the axes: at the edge of a cell, unless they are
    node-centered.
    """
    text = fields.get("axis mins", fields.get("axismins"))
    if text is None:
        return np.zeros(3)
    values = numbers(text, role, nan=True)
    centers = fields.get("centers", fields.get("centerings", "")).casefold().split() or ["cell"] * count
    if values.size != count or len(centers) != count:
        raise unreadable_header(role)
    half = np.array([0.0 if centers[n] == "node" else 0.5 for n in space])
    values = values[list(space)]
    return np.where(np.isnan(values), 0.0, values + half * spacing)


def _parts(
    fields: Mapping[str, str],
    names: list[str] | None,
    path: Path,
    length: int | None,
    sizes: Sequence[int],
    role: str,
) -> tuple[Part, ...]:
    skip = whole_number(fields.get("byte skip", fields.get("byteskip", "0")), role)
    lines = whole_number(fields.get("line skip", fields.get("lineskip", "0")), role)
    if skip < -1 or lines < 0 or lines > 1 << 20 or (skip == -1 and fields["encoding"].casefold() != "raw"):
        raise unreadable_header(role)
    text = fields.get("data file", fields.get("datafile"))
    if text is None:
        if length is None:
            raise unreadable_header(role)
        return (_behind(path, length, lines, skip),)
    files, depth = _files(text, names, path, role)
    share = math.prod(sizes[: depth or (len(sizes) if len(files) == 1 else len(sizes) - 1)])
    if share * len(files) != math.prod(sizes):
        raise unreadable_header(role)
    return tuple(_behind(file, 0, lines, skip) for file in files)


def _files(text: str, names: list[str] | None, path: Path, role: str) -> tuple[tuple[Path, ...], int]:
    """Return the data files, and the number of axes in each, 0 if not stated."""
    if names is not None:
        depth = whole_numbers(text[len("LIST") :], role) if text != "LIST" else [0]
        return named_files(names, path, role), depth[0] if len(depth) == 1 else -1
    files, more = data_files(text, path, role)
    if more and len(more) > 1:
        raise unreadable_header(role)
    return files, more[0] if more else 0


def _behind(path: Path, length: int, lines: int, skip: int) -> Part:
    """Return the part after a header and lines; in a compressed file, bytes to skip are counted in the stream."""
    return Part(path, -1) if skip == -1 else Part(path, length, lines=lines, inside=skip)
