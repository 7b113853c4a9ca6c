"""Orders slices along the patient and checks that they form one regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import MixedSeries, NotThreeDimensional, SkewedAxes, SlicesMissing
from REACTKDLib.core.files.dicom.grid_fit import Line, Planes, group_by_place, planes_through
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.members import Look, files_text, slices_text
from REACTKDLib.core.files.headers import check_spacing
from REACTKDLib.core.files.volumes import LPS_TO_RAS
from REACTKDLib.core.text import tr as _

FEW_GAPS = 10  # with this many steps per gap, slices were lost; with more gaps, the spacing changes within the scan
BESIDE = 0.3  # of a step: an image this near to the next position continues the stack


@dataclass(frozen=True, eq=False)
class Stack:
    """slices: one per position, ascending along the normal.

    ijk_to_ras: (4, 4) mm. doubles: duplicates that were left out.
    """

    slices: tuple[Slice, ...]
    ijk_to_ras: np.ndarray
    doubles: tuple[Slice, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return (len(self.slices), *self.slices[0].look.size)


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """Return the normal (3,), LPS, of an image orientation of six numbers; of length 1 if its axes are
    perpendicular.
    """
    row, column = np.array(orientation[:3], dtype=float), np.array(orientation[3:], dtype=float)
    return np.cross(row, column)


def places_of(slices: Sequence[Slice], role: str) -> np.ndarray:
    """Return the position of each slice along the normal, (n,) mm.

    Raises: MixedSeries without positions or axes, or for slices of different size or axes.
    """
    first = slices[0].look
    if any(s.position is None or s.look.orientation is None for s in slices):
        raise _placeless(role)
    check_one_stack(slices, role)
    normal = slice_normal(first.orientation)
    if abs(np.linalg.norm(normal) - 1) > 1e-2:
        raise MixedSeries(_("{role} states image axes that are not perpendicular; export the series again."), role=role)
    return np.array([s.position for s in slices]) @ (normal / np.linalg.norm(normal))


def check_one_stack(slices: Sequence[Slice], role: str) -> None:
    """Raise MixedSeries unless all slices have the same size, axes and pixel spacing."""
    first = slices[0].look
    if not all(look is first or look.is_like(first) for look in {id(s.look): s.look for s in slices}.values()):
        raise _mixed(role)


def stack_slices(series: Series, slices: Sequence[Slice], role: str) -> Stack:
    """Order one acquisition along the patient and check that it is a grid.

    Raises: NotThreeDimensional, MixedSeries, SlicesMissing (states after which slice), SkewedAxes, BadSpacing.
    """
    places = places_of(slices, role)
    groups = group_by_place(places)
    if len(groups) < 2:
        raise NotThreeDimensional(_("{role} is a single slice, not a volume; give the whole series."), role=role)
    chosen = [slices[group[0]] for group in groups]
    doubles = [slices[index] for group in groups for index in group[1:]]
    planes = planes_through(np.array([piece.position for piece in chosen]), slice_normal(chosen[0].look.orientation))
    _check_left_out(series, chosen, planes.line, role)
    check_planes(planes, role, [piece.instance for piece in chosen], series.unreadable)
    return Stack(tuple(chosen), _matrix(chosen[0].look, planes, role), tuple(doubles))


def check_planes(planes: Planes, role: str, numbers: Sequence[int | None] = (), unreadable: int = 0) -> None:
    """Check that planes are evenly spaced and aligned, and none is missing.

    numbers: image numbers of the planes, if any. unreadable: number of unreadable files of the series.
    Raises: SlicesMissing (states after which slice), MixedSeries for a sideways shift, SkewedAxes.
    """
    _check_even(planes.line, role, numbers, unreadable)
    if planes.shifted:
        worst, jump = planes.largest_jump
        text = _(
            "{role} has slices that are shifted sideways against each other, by {jump} mm between "
            "slice {slice} and {next_slice} of {count}; give a reconstruction in one place."
        )
        raise MixedSeries(
            text, role=role, jump=f"{jump:.3g}", slice=worst + 1, next_slice=worst + 2, count=len(planes.shifts)
        )
    if planes.tilted:
        text = _(
            "{role} was taken with a tilted gantry, so its slices are shifted against each other; "
            "load it in 3D Slicer, which straightens it, and save it as NRRD."
        )
        raise SkewedAxes(text, role=role)


def _check_left_out(series: Series, chosen: Sequence[Slice], line: Line, role: str) -> None:
    """Raise MixedSeries if an image that was left out is a missing slice or continues the stack."""
    broken = bool(line.lacking) or not line.even
    look = chosen[0].look
    if broken and any(why == "unplaced" and piece.look.size == look.size for piece, why in series.left_out):
        raise _placeless(role)
    normal = slice_normal(look.orientation) / np.linalg.norm(slice_normal(look.orientation))
    end = int(line.index[-1])
    for piece, why in series.left_out:
        if piece.position is None or piece.look.orientation is None:
            continue
        place = (float(np.array(piece.position) @ normal) - line.start) / line.step
        same_axes = abs(float(slice_normal(piece.look.orientation) @ normal)) > 0.9
        as_slice = piece.look.is_like(look) or (why == "other" and same_axes)
        continues = as_slice and min(abs(place + 1), abs(place - end - 1)) < BESIDE
        fills = (as_slice or why == "other") and -0.5 < place < end + 0.5 and np.abs(place - line.index).min() > BESIDE
        if continues or (broken and fills):
            raise _mixed(role)


def _check_even(line: Line, role: str, numbers: Sequence[int | None], unreadable: int) -> None:
    if line.even and not line.lacking:
        return
    counts = np.diff(line.index)
    steps = np.diff(line.off) + line.step * counts
    lost = line.even and _are_lost(counts, numbers)
    worst = int(np.argmax(counts > 1)) if line.even else int(np.argmax(np.abs(np.diff(line.off))))
    where = _("between slice {slice} and {next_slice} of {count} there are {distance} mm, not {step}").format(
        slice=worst + 1,
        next_slice=worst + 2,
        count=len(line.index),
        distance=f"{steps[worst]:.4g}",
        step=f"{line.step:.4g}",
    )
    if lost:
        if unreadable:
            where += _(", and {files} beside them cannot be read").format(files=files_text(unreadable))
        text = _("{role} lacks {slices}: {where}; copy or export the whole series again.")
        raise SlicesMissing(text, role=role, slices=slices_text(line.lacking), where=where)
    text = _("{role} has slices at uneven distances: {where}; give an evenly spaced reconstruction.")
    raise SlicesMissing(text, role=role, where=where)


def _are_lost(counts: np.ndarray, numbers: Sequence[int | None]) -> bool:
    """Return True if gaps of whole steps are missing slices, not a different spacing in a part of the scan."""
    gaps = np.flatnonzero(counts > 1)
    if gaps.size <= 2 or gaps.size * FEW_GAPS <= counts.size:
        return True
    known = len(numbers) == len(counts) + 1 and None not in numbers
    return known and all(abs(numbers[n + 1] - numbers[n]) == counts[n] for n in gaps)


def _matrix(look: Look, planes: Planes, role: str) -> np.ndarray:
    if look.pixel_spacing is None:
        raise MixedSeries(_("{role} does not state the size of its pixels; export the series again."), role=role)
    check_spacing(np.array([*look.pixel_spacing, planes.line.step]), role)
    lps = np.eye(4)
    lps[:3, 0] = np.array(look.orientation[:3]) * look.pixel_spacing[1]  # i runs along the rows, in column steps
    lps[:3, 1] = np.array(look.orientation[3:]) * look.pixel_spacing[0]
    lps[:3, 2] = planes.normal * planes.line.step
    lps[:3, 3] = np.round(planes.place(np.zeros(1))[0], 9)
    return LPS_TO_RAS @ lps


def _mixed(role: str) -> MixedSeries:
    return MixedSeries(
        _("{role} mixes images of different size or orientation; give a folder with one volume."), role=role
    )


def _placeless(role: str) -> MixedSeries:
    return MixedSeries(
        _("{role} has images that do not say where they lie in the patient; export the series again."), role=role
    )
