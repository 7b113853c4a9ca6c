"""Moves the results of an earlier run aside if a later one fails, so that they are not mistaken for its results."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

FOLDER = "earlier"


def set_aside(folder: Path, names: Iterable[str]) -> Path | None:
    """Move the files `names` of `folder`, in this order, into a new folder "earlier", "earlier-2", ... in it.

    Returns that folder, None if there are no such files or they could not be moved. Never raises.
    """
    found = [name for name in names if os.path.lexists(folder / name)]
    if not found:
        return None
    with suppress(OSError):
        aside = next(path for n in count(1) if not os.path.lexists(path := folder / (FOLDER + f"-{n}" * (n > 1))))
        aside.mkdir()
        for name in found:
            os.rename(folder / name, aside / name)
        return aside
    return None
