"""Moves the frames of a multi-frame image or segmentation onto the regular grid that fits their rounded positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from REACTKDLib.core.files.dicom.grid_fit import FARTHEST_MM, SIDEWAYS_MM, Planes, group_by_place, planes_through
from REACTKDLib.core.files.dicom.header import items, number, numbers
from REACTKDLib.core.files.dicom.rescale import rescale_of


def on_even_grid(dataset: Any) -> Planes | None:
    """Write into `dataset`, in memory, each frame's position on the grid that fits all, and the grid's step.

    Rounding in the header is corrected by the same rule as for single slices (`grid_fit`), so that highdicom, which
    compares more strictly, places the frames correctly. Several frames may have the same position, and positions may be
    missing. If the frames form no regular, straight stack, nothing is changed.

    Returns the planes, one for each position; None for frames at a single position, or without position or common axes.
    """
    places = [next(_functional(dataset, frame, "PlanePositionSequence"), None) for frame in _frames(dataset)]
    positions = [None if place is None else numbers(place, "ImagePositionPatient", 3) for place in places]
    axes = {
        None if item is None else numbers(item, "ImageOrientationPatient", 6)
        for item in (next(_functional(dataset, f, "PlaneOrientationSequence"), None) for f in _frames(dataset))
    }
    if None in positions or not positions or len(axes) != 1 or None in axes:
        return None
    if np.abs(positions).max() > FARTHEST_MM:
        return None
    (orientation,) = axes
    normal = np.cross(orientation[:3], orientation[3:])
    if not 0.99 < np.linalg.norm(normal) < 1.01:
        return None
    groups = group_by_place(np.array(positions) @ (normal / np.linalg.norm(normal)))
    if len(groups) == 1:
        return None
    planes = planes_through(np.array([positions[group[0]] for group in groups]), normal, _step_stated(dataset))
    at = np.array(positions)
    apart = max(float(np.linalg.norm(at[group] - at[group[0]], axis=1).max()) for group in groups)
    if apart > SIDEWAYS_MM:  # at the same height, but displaced sideways
        planes = replace(planes, shifts=np.append(planes.shifts, apart))
    if planes.line.even and not planes.shifted and not planes.tilted:
        _write(dataset, planes, [[places[n] for n in group] for group in groups])
    return planes


def check_rescale(dataset: Any, role: str) -> None:
    """Raise BadRescale unless every frame of a CT states slope and intercept."""
    known: set[int] = set()
    for frame in _frames(dataset):
        item = next(_functional(dataset, frame, "PixelValueTransformationSequence"), None)
        if id(item) not in known:
            rescale_of({} if item is None else item, "CT", role)
            known.add(id(item))


def _frames(dataset: Any) -> tuple[Any, ...]:
    return items(dataset, "PerFrameFunctionalGroupsSequence")


def _functional(dataset: Any, frame: Any, keyword: str) -> Iterator[Any]:
    """Yield the items of a functional group: the frame's own, else the shared ones."""
    yield from items(frame, keyword)
    for shared in items(dataset, "SharedFunctionalGroupsSequence"):
        yield from items(shared, keyword)


def _measures(dataset: Any) -> Iterator[Any]:
    for group in (*items(dataset, "SharedFunctionalGroupsSequence"), *_frames(dataset)):
        yield from items(group, "PixelMeasuresSequence")


def _step_stated(dataset: Any) -> float | None:
    """Return the step between slices that the header states, else their thickness.

    Writers omit the step if the source's positions are rounded. The thickness then shows that frames two steps apart
    have a missing position between them, and are not thick slices.
    """
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        for measure in _measures(dataset):
            if step := number(measure, keyword):
                return abs(step)
    return None


def _write(dataset: Any, planes: Planes, groups: list[list[Any]]) -> None:
    from pydicom.valuerep import DSfloat

    for group, position in zip(groups, planes.place(planes.line.index), strict=True):
        for place in group:
            place.ImagePositionPatient = [DSfloat(float(v), auto_format=True) for v in position]
    for measure in _measures(dataset):
        measure.SpacingBetweenSlices = DSfloat(planes.line.step, auto_format=True)
