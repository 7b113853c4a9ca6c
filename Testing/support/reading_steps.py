"""Steps through a list of cases that tests of the scene take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from REACTKDLib.scene.reading import Reading


def wait(reading: Reading) -> None:
    """Work until the case asked for is loaded."""
    end = time.monotonic() + 60
    while reading.loader.busy:
        assert time.monotonic() < end
        reading.work()
        time.sleep(0.005)


def go(reading: Reading, index: int) -> None:
    """Open a case of the list and wait until it is there."""
    reading.go_to(index)
    wait(reading)
