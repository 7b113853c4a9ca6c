"""Files that cannot be read and may have been slices: damaged, empty or cut off, told apart from what is no DICOM."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from REACTKDLib.core.files.dicom.opened import begins_as_dicom

_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
_DIGITS = re.compile(r"\d+")
_HEAD = 512


def count_unreadable(series: Iterable, refused: Sequence[str]) -> None:
    """Set `unreadable` of each series: how many of the `refused` files may have been slices of it.

    Those are meant that begin as DICOM does, or are named as it is; in a folder of the series, or in one of no series.
    """
    series = list(series)
    folders = [{os.path.dirname(piece.path) for piece in one.slices} for one in series]
    used = set().union(*folders) if folders else set()
    names = defaultdict(set)
    for one in series:
        for piece in one.slices:
            names[os.path.dirname(piece.path)].add(_pattern(piece.path))
    for path in refused:
        place = os.path.dirname(path)
        if may_be_dicom(path, names[place] if place in used else None):
            for one, own in zip(series, folders, strict=True):
                one.unreadable += place in own or place not in used


def may_be_dicom(path: str, patterns: Iterable[str] | None = None) -> bool:
    """True for a file that may be a damaged DICOM object.

    patterns: how its readable neighbors are named; None where it has none, as the programs on a patient's disc.
    """
    name = os.path.basename(path)
    if name.lower().endswith(_SUFFIXES) or begins_as_dicom(path):
        return True
    if patterns is None:
        return False
    if _pattern(path) in patterns and _DIGITS.search(name):
        return True
    return not os.path.splitext(name)[1] and _is_binary(path)


def _pattern(path: str) -> str:
    return _DIGITS.sub("#", os.path.basename(path))


def _is_binary(path: str) -> bool:
    """True for an empty file, or one that is no text; True also for one that the system does not let us read."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return True
    return not head or b"\0" in head
