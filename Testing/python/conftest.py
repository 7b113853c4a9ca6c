"""Configuration and fixtures shared by the tests of several levels."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Make results and run times of torch independent of the number of free cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def host() -> Iterator[Any]:
    """Slicer's libraries with an empty scene, without the application; VTK must not have reported an error in it."""
    from host.boot import boot

    host = boot()
    host.reset()
    yield host
    host.errors.assert_none()
    host.reset()


@pytest.fixture(scope="session")
def worker() -> Iterator[Any]:
    """The worker process shared by all tests that do not test its start or its end; a reloaded panel starts its own."""
    from support.kept_worker import KeptWorker

    kept = KeptWorker()
    yield kept
    kept.end()
