"""What is given for an image or a segmentation is a file, or a folder of one series; nothing else is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from REACTKDLib.core.errors import FileMissing, NotAnImage
from REACTKDLib.core.text import sentence

MOST_ENTRIES = 10_000  # a dynamic PET has some thousand files; a folder of many cases, or "..", has more


def check_path(path: str | os.PathLike, role: str) -> None:
    """Look at what lies at `path` without opening it; what is missing is left to the reader.

    role: what it is for the reader ("the CT"). Raises: NotAnImage for a device or a pipe, which would be read or waited
    for without end, and for a folder of more than `MOST_ENTRIES` entries; FileMissing for a name that no file can have.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise FileMissing(sentence(f"the name of {role} is none that a file can have; correct the path.")) from error
    except OSError:
        return
    if stat.S_ISDIR(mode):
        if _entries(Path(path)) > MOST_ENTRIES:
            raise NotAnImage(
                sentence(
                    f"the folder given for {role} holds more than {MOST_ENTRIES} files and folders; give the series' "
                    "own folder, or one file of it."
                )
            )
    elif not stat.S_ISREG(mode):
        raise NotAnImage(sentence(f"{role} is given as a device or a pipe; give a file."))


def _entries(folder: Path) -> int:
    """How many entries there are below `folder`, counted no further than needed; links to folders not followed."""
    count = 0
    for _, folders, names in os.walk(folder):
        count += len(folders) + len(names)
        if count > MOST_ENTRIES:
            break
    return count
