"""A Dask scheduler with two worker processes on this computer, as on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dask_cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Yield the address of the scheduler and the processes of the workers; all end with the context."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    own = {"env": environment, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    file = folder / "scheduler.json"
    started = [
        subprocess.Popen(
            [*dask_command("scheduler"), "--port", "0", "--no-dashboard", "--scheduler-file", str(file)], **own
        )
    ]
    try:
        wait_for(file.exists)
        one = ["--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--no-nanny", "--scheduler-file", str(file)]
        started += [subprocess.Popen([*dask_command("worker"), *one], **own) for _ in range(2)]
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def dask_command(name: str) -> list[str]:
    """Return the command 'dask scheduler' or 'dask worker' of this Python."""
    return [sys.executable, "-c", f"from distributed.cli.dask_{name} import main; main()"]


def wait_for(there: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `there` returns True."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)
