"""Processes that do one kind of work, each with its share of the computer's threads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.progress import OnProgress, no_progress

Item = TypeVar("Item")
Result = TypeVar("Result")
#: read once by a process, when its numerical libraries are loaded: OpenMP and torch, numpy's OpenBLAS, MKL
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_work: Any = None  # in a worker: what it does


class WorkerLost(ReactkdError):
    """A worker process is gone."""

    code = "worker-lost"


class WorkerPool(Generic[Item, Result]):
    """Calls one function for many items, in this process or in several that are started with the first items.

    The processes stay until the pool is left, so what `work` reads once is read once in each. They end when the process
    that started them ends, however it ends.

    work: called with each item; with several workers it is pickled once for each process, and so are items and results.
    workers: 1 works in this process.

    Example:
        >>> with WorkerPool(prepare, workers=4) as pool:
        ...     for case, prepared in pool.results(cases):
        ...         print(case.id)
    """

    def __init__(self, work: Callable[[Item], Result], workers: int = 1):
        self._work, self._workers = work, workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> WorkerPool[Item, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def results(self, items: Sequence[Item], on_progress: OnProgress = no_progress) -> Iterator[tuple[Item, Result]]:
        """Yield each item with its result, in the order in which they are done.

        on_progress: called before each is handed out, with the share that is done and '3 of 20'.
        Raises: what `work` raises, for the first; WorkerLost. Close the pool then: what has not begun is canceled.
        """
        for done, found in enumerate(self._results(items), start=1):
            on_progress(done / len(items), f"{done} of {len(items)}")
            yield found

    def _results(self, items: Sequence[Item]) -> Iterator[tuple[Item, Result]]:
        if self._workers <= 1 or (len(items) < 2 and self._pool is None):
            yield from ((item, self._work(item)) for item in items)
            return
        with threads_of_children(share_of(self._workers)):  # the processes start with the first items
            futures = {self._started().submit(_do, item): item for item in items}
        try:
            yield from ((futures[future], future.result()) for future in as_completed(futures))
        except BrokenProcessPool as error:
            raise WorkerLost(
                "A worker process was ended from outside, perhaps for want of memory; start the run again with fewer "
                "workers, and it goes on."
            ) from error

    def close(self) -> None:
        """Cancel what has not begun, and end the processes when each has done its item."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            threads = share_of(self._workers)
            self._pool = ProcessPoolExecutor(self._workers, context, _begin, (self._work, threads))
        return self._pool


def share_of(workers: int) -> int:
    """Threads for each of so many processes, at least one."""
    return max(1, (os.cpu_count() or 1) // max(workers, 1))


@contextmanager
def threads_of_children(count: int) -> Iterator[None]:
    """Processes that are started inside compute with `count` threads each; what the user has set stays.

    Two processes with two threads each on two cores took 1.4 times the processor time of one thread each.
    """
    own = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update({name: str(count) for name in own})
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _begin(work: Callable, threads: int) -> None:
    global _work
    _end_with_the_parent()
    import torch

    torch.set_num_threads(threads)
    _work = work


def _do(item: Any) -> Any:
    return _work(item)


def _end_with_the_parent() -> None:
    """A parent that is killed, as Slicer does on Cancel, cannot tell its workers."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()
