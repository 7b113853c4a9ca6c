"""Atomic exchange of two names, if the system supports it, so that neither is ever missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_HERE = -100  # AT_FDCWD of Linux
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def exchange(one: Path, other: Path) -> bool:
    """Exchange two files or folders of one file system; return False, with nothing changed, if that is impossible."""
    if not sys.platform.startswith(("linux", "darwin")):
        return False
    import ctypes

    try:
        system = ctypes.CDLL(None, use_errno=True)
        names = os.fsencode(one), os.fsencode(other)
        if sys.platform == "darwin":
            return system.renamex_np(*names, _EXCHANGE) == 0
        return system.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0
    except (OSError, AttributeError):  # an older C library
        return False
