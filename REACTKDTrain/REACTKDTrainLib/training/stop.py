"""Stopping a run from outside: a file named STOP in its folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from REACTKDLib.core.errors import Canceled
from REACTKDLib.core.worker.training_run import STOP, STOPPED


class Stopped(Canceled):
    """The run was asked to stop; its last state is kept."""


class StopFile:
    """Looks for `<folder>/STOP`. It is renamed when it has been obeyed, and taken away when the run is resumed."""

    def __init__(self, folder: Path):
        self._path = Path(folder) / STOP
        self._obeyed = Path(folder) / STOPPED

    def asked(self) -> bool:
        """True when somebody put the file there."""
        return self._path.exists()

    def check(self) -> None:
        """Raises: Stopped when it is there."""
        if self.asked():
            raise Stopped("The run was stopped; what is done is kept, and --resume goes on from here.")

    def clear(self) -> None:
        """Take the file away, under either name."""
        self._path.unlink(missing_ok=True)
        self._obeyed.unlink(missing_ok=True)

    def obey(self) -> None:
        """Say that the run has ended because of the file, so that whoever watches it need not guess."""
        with suppress(OSError):  # the run ends either way
            self._path.replace(self._obeyed)
