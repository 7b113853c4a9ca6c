"""The work of a controller, a fixer of masks or another runner of scripts, done to its end or so far."""

from __future__ import annotations

import time
from collections.abc import Callable

from REACTKDLib.scene.script_runner import ScriptRunner


def run(runner: ScriptRunner, until: Callable[[], bool] = lambda: False, seconds: float = 300.0) -> None:
    """Poll as a timer would, until it is at rest or `until` says so."""
    end = time.monotonic() + seconds
    while runner.busy and not until():
        assert time.monotonic() < end
        runner.poll()
        time.sleep(0.003)
