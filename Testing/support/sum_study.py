"""A study that sums, in place of training: what its processes are told and do is the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from REACTKDTrainLib.study.runs import Run, RunFiles


def add(number: int) -> dict[str, np.ndarray]:
    """The sum up to `number`, and in which process it was made; 13 cannot be made, -1 ends the process."""
    if number == 13:
        raise ValueError("there is no run 13")
    if number == -1:
        os._exit(1)
    return {"sum": np.array(sum(range(number))), "process": np.array(os.getpid())}


@dataclass(eq=False)
class SumStudy:
    """numbers: one run each."""

    folder: Path
    numbers: tuple[int, ...]
    workers: int = 2
    say: Callable[[str], None] = print

    @property
    def files(self) -> RunFiles:
        return RunFiles(self.folder)

    def runs_of(self, kind: str) -> list[Run]:
        return [Run(kind, str(n), 0, 0, {"number": n}, partial(add, n)) for n in self.numbers]

    def run_named(self, kind: str, key: str) -> Run:
        return next(run for run in self.runs_of(kind) if run.key == key)
