"""Jobs for a pool of processes, which import this module and no library of the tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path


class Sum:
    """Return the sum below a number, the process and its number of calls; 13 raises an error, -1 ends the process."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, number: int) -> tuple[int, int, int]:
        if number == 13:
            raise ValueError("there is no 13")
        if number == -1:
            os._exit(1)
        self.asked += 1
        return sum(range(number)), os.getpid(), self.asked


class EndsOnce:
    """Return ten times a number; the first call with 2 kills its process."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self, number: int) -> int:
        if number == 2 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 10 * number


def threads(_: int) -> str:
    """Return the number of threads of torch, and that stated for OpenBLAS."""
    import torch

    return f"{torch.get_num_threads()} {os.environ['OPENBLAS_NUM_THREADS']}"
