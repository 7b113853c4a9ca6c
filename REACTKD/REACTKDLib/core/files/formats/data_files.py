"""The data files of a detached header: one name, a list of names, or a pattern with numbers."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.files.headers import data_file_missing, unreadable_header, whole_numbers
from REACTKDLib.core.text import tr as _

MOST_FILES = 1 << 16
_PLACE = re.compile(r"%(0?\d{0,2})d")


def named_files(names: Sequence[str], header: Path, role: str) -> tuple[Path, ...]:
    """Return the files beside `header`; nothing is opened, since opening a pipe may block forever.

    Raises: NotAnImage if one is missing, is not a file, has an absolute path, or lies outside the folder of `header`.
    """
    if not names or len(names) > MOST_FILES:
        raise unreadable_header(role)
    return tuple(_file(name.strip(), header, role) for name in names)


def data_files(text: str, header: Path, role: str) -> tuple[tuple[Path, ...], list[int] | None]:
    """Return the file with this name, and None; or the files of a pattern: see `numbered_files`, also for Raises."""
    if re.search(r"%\S*d\S*\s+[+-]?\d", text):
        return numbered_files(text, header, role)
    return named_files([text], header, role), None


def numbered_files(text: str, header: Path, role: str) -> tuple[tuple[Path, ...], list[int]]:
    """Return the files of "name%03d.raw first last [step] ...", and the numbers after the step.

    Raises: NotAnImage.
    """
    place = _PLACE.search(text)
    if place is None or text.count("%") != 1:
        raise unreadable_header(role)
    *name, tail = re.split(r"(?<=\S)\s+(?=[+-]?\d+(?:\s+[+-]?\d+)*\s*$)", text.strip(), maxsplit=1)
    values = whole_numbers(tail, role) if name else []
    if len(values) < 2:
        raise unreadable_header(role)
    first, last, step = [*values, 1][:3] if len(values) == 2 else values[:3]
    if step == 0 or first < 0 or last < 0 or (last - first) * step < 0 or abs(last - first) > MOST_FILES:
        raise unreadable_header(role)
    made = [
        name[0].replace(place.group(), place.group() % n) for n in range(first, last + (1 if step > 0 else -1), step)
    ]
    return named_files(made, header, role), values[3:]


def _file(name: str, header: Path, role: str) -> Path:
    if not name or "\0" in name or len(name) > 1024:
        raise unreadable_header(role)
    if os.path.isabs(name) or re.match(r"[A-Za-z]:[\\/]|\\\\|~", name):
        text = _(
            "The header of {role} names its data file by an absolute path; put the file beside the "
            "header and write its name alone."
        )
        raise NotAnImage(text, role=role)
    if ".." in re.split(r"[\\/]", name):  # else a header from somebody else could show any file of the reader
        text = _(
            "The header of {role} names a data file outside its own folder; put the file beside the header and write "
            "its name alone."
        )
        raise NotAnImage(text, role=role)
    path = header.parent / name
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise data_file_missing(role) from error
    if not stat.S_ISREG(mode):
        raise NotAnImage(
            _("The header of {role} points to something that is not a file; export the image again."), role=role
        )
    return path
