"""A fixer of masks, its work done to the end."""

from __future__ import annotations

import time

from REACTKDLib.scene.mask_fixes import MaskFixer


def run(fixer: MaskFixer) -> None:
    """Poll until the fixer has nothing left to do."""
    end = time.monotonic() + 60
    while fixer.busy:
        assert time.monotonic() < end
        fixer.poll()
        time.sleep(0.003)
