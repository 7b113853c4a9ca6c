"""Cases and a model on disk, created once."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from REACTKDLib.__main__ import main
from support.case_files import write_case
from support.small_cases import small_case
from support.small_models import write_small_model
from support.small_training import TRAIN_SCRIPT

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    """A bundle with random weights."""
    return write_small_model(tmp_path_factory.mktemp("bundle") / "model")


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory) -> Path:
    """The small case as files."""
    return write_case(small_case(), tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="session")
def run_command():
    """Run `python -m REACTKDLib` as a user does; return the finished process with its text output."""

    def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        import os

        return subprocess.run(
            [sys.executable, "-m", "REACTKDLib", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "REACTKD"), "OMP_NUM_THREADS": "1", **environment},
            timeout=300,
        )

    return run


@pytest.fixture
def own_process():
    """Restore what a program may change in its process."""
    path, handlers = list(sys.path), {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    with warnings.catch_warnings():
        yield
    sys.path[:] = path
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def call_command(own_process, capfd, monkeypatch):
    """Like `run_command`, but in this process, for tests of behavior alone. Output of libraries is captured, too."""

    def call(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capfd.readouterr()
        status = main(list(map(str, arguments)))
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    return call


@pytest.fixture
def train_module(own_process):
    """REACTKDTrain.py as a module."""
    spec = importlib.util.spec_from_file_location("REACTKDTrain", TRAIN_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def train(train_module, capsys):
    """Call REACTKDTrain in this process, as importing its libraries takes seconds; return (status, output, errors)."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            status = train_module.main(list(map(str, arguments)))
        except SystemExit as end:
            status = end.code
        return (status, *capsys.readouterr())

    return call
