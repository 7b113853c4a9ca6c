"""Python's compiled files, as they are on a user's computer after his first start."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def keep_compiled_files() -> None:
    """Let the processes that this one starts keep them, in `build/bytecode` where the environment wants none beside
    the sources, as images for containers often do: each would compile PyTorch anew, twice the time of its import.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build" / "bytecode"))
