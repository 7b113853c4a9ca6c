"""PythonSlicer: not the interpreter but a launcher, which starts it as a child with its own input, and waits for it."""

from __future__ import annotations

import sys
from pathlib import Path

_INTERPRETER = sys.executable


def write_launcher(folder: Path) -> str:
    """Write the program into `folder` and return its path. Killed, it leaves the interpreter alone."""
    path = folder / "PythonSlicer"
    path.write_text(f'#!/bin/sh\n"{_INTERPRETER}" "$@"\nstatus=$?\nexit $status\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def install(folder: Path) -> None:
    """Make it this process's `sys.executable`, as it is in the application."""
    sys.executable = write_launcher(folder)
