"""The content of an image file's header, whatever its format, and the errors for invalid headers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np

from REACTKDLib.core.errors import BadSpacing, NotAnImage, NotThreeDimensional, SingularDirection
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.text import tr as _

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_VOXELS = 1 << 31  # 2,000 slices of 1,024 x 1,024
MOST_BYTES = 1 << 33  # twice these slices in 16 bits, or dozens of layers of masks
SPACING_LIMITS = (1e-3, 1e3)  # mm; outside, the unit or the header is wrong, and arithmetic overflows
FARTHEST_MM = 1e6
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"[+-]?\d{1,15}")

Encoding = Literal["raw", "deflate", "text", "hex"]


@dataclass(frozen=True)
class Part:
    """A contiguous block of voxels in a file.

    skip: bytes before it, -1 if the block ends with the file. size: bytes in the file, or None.

    lines: number of lines to skip after `skip`. inside: bytes to skip after those, counted in the uncompressed stream.
    """

    path: Path
    skip: int = 0
    size: int | None = None
    lines: int = 0
    inside: int = 0


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """A checked header. shape: the axes of the file, the slowest first.

    channels: the axis of `shape` for the values of one voxel, None for scalars. parts: equal blocks of the voxels.
    scale: slope and intercept of the stored values, None if none apply. fields, findings, other_places: see
    `files.volumes.RawImage`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    ijk_to_ras: np.ndarray
    parts: tuple[Part, ...]
    encoding: Encoding = "raw"
    channels: int | None = None
    scale: tuple[float, float] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    other_places: tuple[np.ndarray, ...] = ()


def whole_numbers(text: str, role: str) -> list[int]:
    """Return the integers in a text. Raises: NotAnImage for anything else."""
    words = text.split()
    if not words or not all(_WHOLE.fullmatch(word) for word in words):
        raise unreadable_header(role)
    return [int(word) for word in words]


def whole_number(text: str, role: str) -> int:
    """Return the single integer in a text. Raises: NotAnImage for anything else, or for several."""
    values = whole_numbers(text, role)
    if len(values) != 1:
        raise unreadable_header(role)
    return values[0]


def numbers(text: str, role: str, nan: bool = False) -> np.ndarray:
    """Return the numbers of a text; `nan` allows "nan" and "none" as NaN. Raises: NotAnImage for anything else."""
    values = []
    for word in text.split():
        if nan and word.casefold() in ("nan", "none"):
            values.append(np.nan)
        elif _NUMBER.fullmatch(word):
            values.append(float(word))
        elif word.casefold().lstrip("+-") in ("inf", "infinity", "nan"):
            values.append(float(word))
        else:
            raise unreadable_header(role)
    return np.array(values)


def check_spacing(values: np.ndarray, role: str) -> None:
    """Raise BadSpacing unless every spacing is a plausible positive number."""
    values = np.asarray(values)
    shown = " x ".join(f"{v:g}" for v in values)
    if not np.all(np.isfinite(values)) or np.any(values <= 0):
        text = _(
            "{role} states a voxel spacing of {shown} mm where every value must be above zero; "
            "correct the spacing or export the image again."
        )
        raise BadSpacing(text, role=role, shown=shown)
    if np.any(values < SPACING_LIMITS[0]) or np.any(values > SPACING_LIMITS[1]):
        text = _("{role} states a voxel spacing of {shown} mm, which no scan has; correct the spacing or its unit.")
        raise BadSpacing(text, role=role, shown=shown)


def check_axes(axes: np.ndarray, role: str) -> None:
    """Check that the columns of `axes` (3, 3) span space. Raises: BadSpacing, SingularDirection."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(axes, axis=0)
    check_spacing(lengths, role)
    if abs(np.linalg.det(axes / lengths)) < 1e-3:
        raise SingularDirection(
            _("The axes of {role} lie in one plane; correct its direction matrix or export the image again."), role=role
        )


def check_origin(origin: np.ndarray, role: str) -> None:
    """Raise BadSpacing for a position that is not a number or is implausibly far away."""
    if not np.all(np.isfinite(origin)) or np.any(np.abs(origin) > FARTHEST_MM):
        raise BadSpacing(
            _("{role} states a position that no scan has; correct it or export the image again."), role=role
        )


def check_three_dimensional(sizes: Sequence[int], role: str) -> None:
    """Check that `sizes`, the fastest axis first, are three of at least two voxels, and any further ones are 1.

    Raises: NotThreeDimensional; NotAnImage for impossible sizes.
    """
    if any(n < 1 for n in sizes):
        raise unreadable_header(role)
    if len(sizes) < 3 or min(sizes[:3]) < 2:
        raise NotThreeDimensional(_("{role} is a single slice, not a volume; give the whole 3-D series."), role=role)
    count = math.prod(sizes[3:])
    if count > 1:
        text = _("{role} is a 4-D series of {count} volumes where one is needed; save a single one of them.")
        raise NotThreeDimensional(text, role=role, count=count)
    if math.prod(sizes[:3]) > MOST_VOXELS:
        shown = " x ".join(str(n) for n in sizes[:3])
        text = _("The header of {role} states {shown} voxels, more than any scan has; export the image again.")
        raise NotAnImage(text, role=role, shown=shown)


def check_bytes(shape: Sequence[int], dtype: np.dtype, role: str) -> None:
    """Raise NotAnImage if the values need more memory than those of any scan.

    A compressed file can be a thousandth of its content, so its size on the disk does not limit what it unpacks to.
    """
    if math.prod(shape) * dtype.itemsize > MOST_BYTES:
        shown = " x ".join(str(n) for n in reversed(shape))
        text = _("The header of {role} states {shown} values, more than any scan has; export the image again.")
        raise NotAnImage(text, role=role, shown=shown)


def incomplete_geometry(missing: Sequence[str], role: str) -> Finding:
    """Return the finding for a file that does not state all of its geometry."""
    what = reduce(lambda some, last: _("{some} nor {last}").format(some=some, last=last), missing)
    text = _("{role} does not state {what}; check that left and right, sizes and places are as they should be.")
    return Finding("geometry-incomplete", "warning", text, role=role, what=what)


def cut_off(role: str) -> NotAnImage:
    """Return the error for a file that ends too early or whose stream is broken."""
    return NotAnImage(_("The file of {role} is cut off or damaged; copy or export it again."), role=role)


def too_long(role: str) -> NotAnImage:
    """Return the error for a file with more voxels than its header states."""
    return NotAnImage(
        _("The file of {role} holds more voxels than its header states, so it is damaged; export it again."), role=role
    )


def data_file_missing(role: str) -> NotAnImage:
    """Return the error for a header whose data file is missing."""
    return NotAnImage(
        _("The file of {role} is a header alone, and its data file is missing; copy both into one folder."), role=role
    )


def unreadable_header(role: str) -> NotAnImage:
    """Return the error for a header that violates its format."""
    return NotAnImage(
        _("The header of {role} cannot be read; export the image again as NIfTI, NRRD or MHA."), role=role
    )


def not_an_image(role: str) -> NotAnImage:
    """Return the error for a file in none of the supported formats."""
    return NotAnImage(
        _("The file of {role} is not an image that can be read; give a NIfTI, NRRD or MHA file."), role=role
    )


def not_scalar(count: int, role: str) -> NotThreeDimensional:
    """Return the error for an image with several values per voxel."""
    return NotThreeDimensional(
        _("{role} has {count} values in each voxel (a color image?); save one scalar volume."), role=role, count=count
    )
