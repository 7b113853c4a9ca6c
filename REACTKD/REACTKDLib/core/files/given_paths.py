"""Checks of the paths given for an image or a segmentation: only files, and folders of one series, are opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from REACTKDLib.core.errors import FileMissing, NotAnImage
from REACTKDLib.core.text import tr as _

#: types of a path
PathLike = str | os.PathLike[str]
MOST_ENTRIES = 10_000  # a dynamic PET has some thousand files; a folder of many cases, or "..", has more


def check_path(path: PathLike, role: str) -> None:
    """Check what is at `path` without opening it.

    role: its name in messages ("the CT"). Raises: FileMissing, also for a name that no file can have; NotAnImage for a
    device or a pipe, whose reading might never end, and for a folder of more than `MOST_ENTRIES` entries.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL, or a lone surrogate
        raise FileMissing(_("The name of {role} is none that a file can have; correct the path."), role=role) from error
    except OSError as error:
        if os.name != "nt" and "\\" in os.fspath(path):  # a list written on Windows
            text = _("The path of {role} has backslashes, as on Windows, and there is no such file; write '/' instead.")
            raise FileMissing(text, role=role) from error
        raise FileMissing(_("There is no file at the path given for {role}; check the path."), role=role) from error
    if stat.S_ISDIR(mode):
        if _entries(Path(path)) > MOST_ENTRIES:
            text = _(
                "The folder given for {role} holds more than {most} files and folders; give the "
                "series' own folder, or one file of it."
            )
            raise NotAnImage(text, role=role, most=MOST_ENTRIES)
    elif not stat.S_ISREG(mode):
        raise NotAnImage(_("{role} is given as a device or a pipe; give a file."), role=role)


def _entries(folder: Path) -> int:
    """Count the entries below `folder`, no further than needed, without following links to folders."""
    count = 0
    for _place, folders, names in os.walk(folder):
        count += len(folders) + len(names)
        if count > MOST_ENTRIES:
            break
    return count
