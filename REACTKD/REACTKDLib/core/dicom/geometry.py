"""Slices put in order along the patient: one grid, or a sentence that says what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.dicom.index import Series, Slice
from REACTKDLib.core.errors import MixedSeries, NotThreeDimensional, SkewedAxes, SlicesMissing
from REACTKDLib.core.files import LPS_TO_RAS
from REACTKDLib.core.headers import check_spacing
from REACTKDLib.core.text import plural, sentence

SAME_PLACE_MM = 0.01
UNEVEN_SHARE = 0.02  # of the spacing: rounding in the header, not a lacking slice
UNEVEN_MM = 0.02
TILT = 1e-3


@dataclass(frozen=True, eq=False)
class Stack:
    """slices: one per position, ascending along the normal. ijk_to_ras: (4, 4) mm. doubles: slices left beside it."""

    slices: tuple[Slice, ...]
    ijk_to_ras: np.ndarray
    doubles: tuple[Slice, ...] = ()


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """Return the unit normal (3,), LPS, of an image orientation of six numbers."""
    row, column = np.array(orientation[:3], dtype=float), np.array(orientation[3:], dtype=float)
    return np.cross(row, column)


def places_of(series: Series, slices: Sequence[Slice], role: str) -> np.ndarray:
    """Return how far along the normal each slice lies, (n,) mm. Raises: MixedSeries without positions or axes."""
    axes = series.orientation
    if axes is None or any(s.position is None for s in slices):
        raise MixedSeries(
            sentence(f"{role} has images that do not say where they lie in the patient; export the series again.")
        )
    normal = slice_normal(axes)
    if abs(np.linalg.norm(normal) - 1) > 1e-2:
        raise MixedSeries(sentence(f"{role} states image axes that are not perpendicular; export the series again."))
    return np.array([s.position for s in slices]) @ (normal / np.linalg.norm(normal))


def group_by_place(places: np.ndarray) -> list[list[int]]:
    """Return the indices of `places` in ascending groups of one position each."""
    groups: list[list[int]] = []
    last = -np.inf
    for index in np.argsort(places, kind="stable"):
        if places[index] - last > SAME_PLACE_MM:
            groups.append([])
            last = places[index]
        groups[-1].append(int(index))
    return groups


def stack_slices(series: Series, slices: Sequence[Slice], role: str) -> Stack:
    """Order one acquisition along the patient and check that it is a grid.

    Raises: NotThreeDimensional, MixedSeries, SlicesMissing (says after which slice), SkewedAxes, BadSpacing.
    """
    places = places_of(series, slices, role)
    groups = group_by_place(places)
    if len(groups) < 2:
        raise NotThreeDimensional(sentence(f"{role} is a single slice, not a volume; give the whole series."))
    chosen = [slices[group[0]] for group in groups]
    doubles = [slices[index] for group in groups for index in group[1:]]
    at = np.array([places[group[0]] for group in groups])
    _check_even(at, role)
    return Stack(tuple(chosen), _matrix(series, chosen, at, role), tuple(doubles))


def _check_even(at: np.ndarray, role: str) -> None:
    steps = np.diff(at)
    usual = _usual_step(steps)
    wide = np.flatnonzero(np.abs(steps - usual) > max(UNEVEN_MM, UNEVEN_SHARE * usual))
    if wide.size == 0:
        return
    first, lacking = int(wide[0]), int(np.sum(np.maximum(np.rint(steps / usual) - 1, 0)))
    where = f"between slice {first + 1} and {first + 2} of {at.size} there are {steps[first]:.4g} mm, not {usual:.4g}"
    if lacking:
        text = f"{role} lacks {plural(lacking, 'slice')}: {where}; copy or export the whole series again."
    else:
        text = f"{role} has slices at uneven distances: {where}; give an evenly spaced reconstruction."
    raise SlicesMissing(sentence(text))


def _usual_step(steps: np.ndarray) -> float:
    """The most frequent distance; of equally frequent ones the smallest, since a gap only widens."""
    counts = Counter(np.round(steps, 2).tolist())
    most = max(counts.values())
    near = min(step for step, count in counts.items() if count == most)
    return float(np.median(steps[np.abs(steps - near) < 0.011]))


def _matrix(series: Series, chosen: Sequence[Slice], at: np.ndarray, role: str) -> np.ndarray:
    if series.pixel_spacing is None:
        raise MixedSeries(sentence(f"{role} does not state the size of its pixels; export the series again."))
    first, last = np.array(chosen[0].position), np.array(chosen[-1].position)
    along = (last - first) / (len(chosen) - 1)
    check_spacing(np.array([*series.pixel_spacing, float(np.diff(at).mean())]), role)
    normal = slice_normal(series.orientation)
    if np.linalg.norm(along - normal * (along @ normal)) > TILT * np.linalg.norm(along) * 10:
        raise SkewedAxes(
            sentence(
                f"{role} was taken with a tilted gantry, so its slices are shifted against each other; load it in 3D "
                "Slicer, which straightens it, and save it as NRRD."
            )
        )
    lps = np.eye(4)
    lps[:3, 0] = np.array(series.orientation[:3]) * series.pixel_spacing[1]  # rows run along i, a column step apart
    lps[:3, 1] = np.array(series.orientation[3:]) * series.pixel_spacing[0]
    lps[:3, 2] = normal * float(np.diff(at).mean())
    lps[:3, 3] = first
    return LPS_TO_RAS @ lps
