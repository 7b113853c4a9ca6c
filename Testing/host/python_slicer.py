"""PythonSlicer is not the interpreter but a launcher that starts it as a child process and waits; imitated here."""

from __future__ import annotations

import sys
from pathlib import Path

_INTERPRETER = sys.executable


def write_launcher(folder: Path) -> str:
    """Write the program into `folder` and return its path. If it is killed, the interpreter keeps running."""
    path = folder / "PythonSlicer"
    path.write_text(f'#!/bin/sh\n"{_INTERPRETER}" "$@"\nstatus=$?\nexit $status\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def install(folder: Path) -> None:
    """Set it as this process's `sys.executable`, as in the application."""
    sys.executable = write_launcher(folder)
