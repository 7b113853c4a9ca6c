"""Configuration shared by the tests of every level."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def pytest_configure(config: pytest.Config) -> None:
    """Make the packages under test importable in subprocesses, also when pytest is run directly, and restore SIGINT.

    A shell starts a background job ("&"), such as the runner's second lane, with SIGINT ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    known = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    own = [str(REPOSITORY / name) for name in config.getini("pythonpath")]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*own, *known]))
    os.environ["REACTKD_LOG_DIR"] = str(REPOSITORY / "build" / "logs")  # not the log of the user who runs the tests


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Exclude the long-lived objects, the tests and the libraries they import, from garbage collection.

    Python would scan them again and again, which costs a fifth of the collection time and a twentieth of the test time.
    Objects that the tests create are collected after every 10,000 new ones, not after 700: another twentieth.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()
