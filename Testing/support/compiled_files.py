"""Python's compiled files, as they exist on a user's computer after the first start."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def keep_compiled_files() -> None:
    """Let child processes store compiled files, in `build/bytecode` if the environment forbids them beside the sources,
    as many container images do. Otherwise each process would compile PyTorch again, twice the time of its import.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build" / "bytecode"))
