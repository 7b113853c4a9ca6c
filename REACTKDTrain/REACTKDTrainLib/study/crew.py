"""Several processes that do the runs of a study, each with its own share of the threads."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import torch

from REACTKDTrainLib.study.runs import Run
from REACTKDTrainLib.training.preparation import WorkerLost, end_with_the_run
from REACTKDTrainLib.training.share_threads import share_of, threads_of_children

_own: Any = None


def silent(_line: str) -> None:
    """Only the first process speaks."""


class Crew:
    """The processes, alive from one set of runs to the next, so that each reads its cases once. Leave it with `close`.

    study: what they work on. Runs are told to them by name, since what a run needs stays in the process that makes it.
    """

    def __init__(self, study: Any):
        own = replace(study, workers=1, say=silent)
        self._threads = share_of(study.workers)
        self._pool = ProcessPoolExecutor(
            study.workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(own, self._threads)
        )

    def do(self, kind: str, runs: Sequence[Run], ended: Callable[[Run, float], None]) -> None:
        """Make these runs of a kind (see `Study.runs_of`); ended(run, seconds) after each.

        Raises: WorkerLost; what making a run raises, and then no further one is begun.
        """
        with threads_of_children(self._threads):  # the processes start with the first runs
            futures = {self._pool.submit(_make, kind, run.key): run for run in runs}
        try:
            for future in as_completed(futures):
                ended(futures[future], future.result())
        except BrokenProcessPool as error:
            raise WorkerLost(
                "A process of the study was ended from outside, perhaps for want of memory; start it again with fewer "
                "workers, and it goes on."
            ) from error
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def _begin(study: Any, threads: int) -> None:
    global _own
    end_with_the_run()
    torch.set_num_threads(threads)
    _own = study


def _make(kind: str, key: str) -> float:
    """In a process: make one run and keep it. Returns the seconds it took."""
    started = time.monotonic()
    run = _own.run_named(kind, key)
    if not _own.files.done(run):  # another call on the same folder may have come first
        _own.files.put(run, run.make())
    return time.monotonic() - started
