"""The work of a fixer of masks, or of a controller, done to the end."""

from __future__ import annotations

import time

from REACTKDLib.scene.script_runner import ScriptRunner


def run(fixer: ScriptRunner) -> None:
    """Poll until it has nothing left to do."""
    end = time.monotonic() + 60
    while fixer.busy:
        assert time.monotonic() < end
        fixer.poll()
        time.sleep(0.003)
