"""What holds for the tests of every level."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare the garbage collector what lives as long as the run: the tests and the libraries that they import.

    Python would look through all of it again and again, for a fifth of the time of the collection and a twentieth of
    that of the tests. What the tests make is collected as ever.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
