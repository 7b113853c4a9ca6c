"""Stopping a run from outside: a file named STOP in its folder."""

from __future__ import annotations

from pathlib import Path

from REACTKDLib.core.errors import Canceled

NAME = "STOP"


class Stopped(Canceled):
    """The run was asked to stop; its last state is kept."""


class StopFile:
    """Looks for `<folder>/STOP`. The file is taken away when it has been obeyed, so that the run can be resumed."""

    def __init__(self, folder: Path):
        self._path = Path(folder) / NAME

    def asked(self) -> bool:
        """True when somebody put the file there."""
        return self._path.exists()

    def clear(self) -> None:
        """Take the file away."""
        self._path.unlink(missing_ok=True)
