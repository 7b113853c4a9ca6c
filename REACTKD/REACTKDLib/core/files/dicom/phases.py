"""Separates several acquisitions in one series (contrast phases, time frames) before slices are stacked.

A series folder may contain two or three scans at the same slice positions; sorted by position alone, they would
interleave into a false volume.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.files.dicom.geometry import places_of
from REACTKDLib.core.files.dicom.grid_fit import group_by_place
from REACTKDLib.core.files.dicom.header import finite
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.members import check_one_patient

# Positions of an acquisition beside single slices, in series where each slice has its own number and the numbers begin
# again: at least this many, two at the same position, and on no other scan.
_FEWEST = 3


def split_phases(series: Series, role: str) -> list[list[Slice]]:
    """Return the slices of each acquisition, in the order of acquisition.

    They are separated by acquisition number if there are several; else, if positions repeat, by time or temporal
    position if it divides them evenly, else by the order of instance numbers, one run through the positions after
    another. If nothing separates them, one list with duplicates is returned.

    Raises: MixedSeries for slices without a position, or of several patients.
    """
    check_one_patient(series, role)
    by_number = _groups(series.slices, lambda s: s.acquisition)
    if len(by_number) > 1 and not _is_one_scan(series, list(by_number.values()), role):
        return list(by_number.values())
    repeats = {len(group) for group in group_by_place(places_of(series.slices, role))}
    if repeats == {1}:
        return [list(series.slices)]
    for key in (lambda s: s.moment or None, _run_of_instances(series, role)):
        split = _groups(series.slices, key)
        if len(repeats) == 1 and len(split) == max(repeats) and _single(split.values(), role):
            return list(split.values())
    return [list(series.slices)]


def _groups(slices: Sequence[Slice], key) -> dict:
    """Return slices by key, in the order of keys; all in one group if a slice has no key."""
    found: dict = {}
    for piece in slices:
        found.setdefault(key(piece), []).append(piece)
    return {None: list(slices)} if None in found else dict(sorted(found.items(), key=lambda entry: _in_time(entry[0])))


def _in_time(key: int | str) -> tuple[bool, float, str]:
    """Sort key: numbers by value, since the tenth frame comes after the second; then other values."""
    number = finite(key)
    return (True, 0.0, str(key)) if number is None else (False, number, str(key))


def _is_one_scan(series: Series, groups: Sequence[Sequence[Slice]], role: str) -> bool:
    """Return True if the numbered acquisitions are one scan.

    They are then adjacent without duplicates, as in axial CT in steps, or each number is that of a single slice. Single
    slices beside acquisitions at or between the same positions (bolus tracking) do not join those into one scan.
    """
    if not all(piece.look.is_like(series.slices[0].look) for piece in series.slices):
        return False
    ends = np.cumsum([len(group) for group in groups])[:-1]
    places = np.split(places_of([piece for group in groups for piece in group], role), ends)
    counts = [len(group_by_place(own)) for own in places]
    if 1 in counts:
        places = [own for own, count in zip(places, counts) if count >= _FEWEST]
    if len(places) < 2:
        return True
    if any(len(group) > 1 for group in group_by_place(np.concatenate(places))):
        return False
    spans = sorted((own.min(), own.max()) for own in places)
    return all(before[1] < after[0] for before, after in zip(spans, spans[1:]))


def _run_of_instances(series: Series, role: str):
    """Return a function that gives the run through the positions to which a slice belongs, by instance number."""
    run: dict[str, int] = {}
    for group in group_by_place(places_of(series.slices, role)):
        members = sorted((series.slices[n] for n in group), key=lambda s: s.instance or 0)
        run |= {piece.path: n for n, piece in enumerate(members)}
    return lambda piece: run[piece.path]


def _single(groups, role: str) -> bool:
    return all(len(g) == 1 for group in groups for g in group_by_place(places_of(group, role)))
