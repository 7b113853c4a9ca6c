"""What holds for the tests of every level."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_configure(config: pytest.Config) -> None:
    """Let processes that a test starts import what the test imports, also where pytest is run by itself; and hear an
    interrupt, which a shell's "&" has ignored by all that follows, as in the runner's second lane.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    known = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    own = [str(REPOSITORY / name) for name in config.getini("pythonpath")]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*own, *known]))
    os.environ["REACTKD_LOG_DIR"] = str(REPOSITORY / "build" / "logs")  # not the log of whoever runs the tests
