"""Runs the steps of a controller, a mask fixer or another script runner, to the end or up to a condition."""

from __future__ import annotations

import time
from collections.abc import Callable

from REACTKDLib.scene.script_runner import ScriptRunner


def run(runner: ScriptRunner, until: Callable[[], bool] = lambda: False, seconds: float = 300.0) -> None:
    """Poll as a timer would, until the runner is idle or `until` returns True."""
    end = time.monotonic() + seconds
    while runner.busy and not until():
        assert time.monotonic() < end
        runner.poll()
        time.sleep(0.003)
