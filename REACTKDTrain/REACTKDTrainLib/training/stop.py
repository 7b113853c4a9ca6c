"""Stopping a run from outside by a file named STOP in its folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from REACTKDLib.core.errors import Canceled
from REACTKDLib.core.worker.training_run import STOP, STOPPED


class Stopped(Canceled):
    """The run was stopped on request; its last state is kept."""


class StopFile:
    """Watches for `<folder>/STOP`. The file is renamed once the run has stopped, and removed when it is resumed."""

    def __init__(self, folder: Path):
        self._path = Path(folder) / STOP
        self._stopped = Path(folder) / STOPPED

    def requested(self) -> bool:
        """Return True if the file exists."""
        return self._path.exists()

    def check(self) -> None:
        """Raises: Stopped if the file exists."""
        if self.requested():
            raise Stopped("The run was stopped; what is done is kept, and --resume goes on from here.")

    def clear(self) -> None:
        """Remove the file, under either name."""
        self._path.unlink(missing_ok=True)
        self._stopped.unlink(missing_ok=True)

    def mark_stopped(self) -> None:
        """Rename the file, which shows that the run has ended because of it."""
        with suppress(OSError):  # the run ends in any case
            self._path.replace(self._stopped)
