"""Detects unreadable files that may have been slices: damaged, empty or cut off, as opposed to files that are not
DICOM.
"""

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
    """Set `unreadable` of each series: the number of `refused` files that may have been its slices.

    These are files that begin as DICOM, or are named like the series' files, in a folder of the series or in one
    without any series.
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
    """Return True for a file that may be a damaged DICOM object.

    patterns: name patterns of its readable neighbors; None if there are none, as for the programs on a patient's disc.
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
    """Return True for an empty or binary file; also for one that cannot be opened."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return True
    return not head or b"\0" in head
