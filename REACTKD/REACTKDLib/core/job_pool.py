"""A pool that runs one function for many items: in this process, in several, or on a cluster.

The jobs of a lost worker are repeated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from itertools import islice
from types import TracebackType
from typing import Generic, NoReturn, TypeVar

from REACTKDLib.core.errors import Canceled, ReactkdError
from REACTKDLib.core.job_engines import HERE, Engine, Executing, do, packed
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import tr as _

Item = TypeVar("Item")
Result = TypeVar("Result")
_POLL_S = 0.2  # interval for checking cancellation, in seconds


class WorkerLost(ReactkdError):
    """A worker process ended unexpectedly, and its job ended another one too."""

    code = "worker-lost"


class JobPool(Generic[Item, Result]):
    """Calls one function for many items on an engine, which is started with the first items.

    Processes live until the pool is closed, so data that `work` loads once is loaded once per process. They also end
    when the process that started them ends, for whatever reason. If a worker is lost, every job that may have been
    running in it is repeated, one at a time: this identifies the job that ends its process, and no other job fails with
    it.

    work: called with each item. Unless it runs in this process, it is pickled, and so are items and results; on a
    cluster, paths in them must be valid on every computer.

    Example:
        >>> with JobPool(prepare, Engine(jobs=4)) as pool:
        ...     for case, prepared in pool.results(cases):
        ...         print(case.id)
    """

    def __init__(self, work: Callable[[Item], Result], engine: Engine = HERE):
        self._work, self._engine = work, engine
        self._executing = Executing(engine)

    def __enter__(self) -> JobPool[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the jobs that have not started; after an error or a stop, also end the running ones, within a
        second.
        """
        self._executing.close(stop=kind is not None and issubclass(kind, (KeyboardInterrupt, Canceled, SystemExit)))

    def results(
        self,
        items: Sequence[Item],
        on_progress: OnProgress = no_progress,
        lost: Callable[[Item], Result] | None = None,
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with its result, in order of completion.

        on_progress: called before each item is submitted, with the fraction done and text such as '3 of 20'. lost:
        returns the result for a job that ended its process twice; without it, WorkerLost is raised. Raises: what `work`
        raises, for the first failing item; WorkerLost, EngineMissing, PackagesMissing. The pool must then be closed.
        """
        if self._engine.here:
            found: Iterator[tuple[Item, Result]] = ((item, self._work(item)) for item in items)
        else:
            found = self._elsewhere(items, lost or _raise_lost)
        for done, pair in enumerate(found, start=1):
            on_progress(done / len(items), f"{done} of {len(items)}")
            yield pair

    def _elsewhere(self, items: Sequence[Item], lost: Callable[[Item], Result]) -> Iterator[tuple[Item, Result]]:
        """Run the items in the engine.

        Few are submitted at a time, so memory does not grow with the number of items.
        """
        work = packed(self._work)
        waiting, suspects = iter(items), deque[Item]()
        flying: dict[Future, Item] = {}
        alone = False
        try:
            while True:
                if not flying:
                    alone = bool(suspects)
                if not alone and not suspects:
                    for item in islice(waiting, max(self._executing.width - len(flying), 0)):
                        flying[self._submit(work, item)] = item
                if alone and not flying:
                    item = suspects.popleft()
                    flying[self._submit(work, item)] = item
                if not flying:
                    if not suspects:
                        return
                    continue
                done, _pending = wait(flying, _POLL_S, FIRST_COMPLETED)
                for future in done:
                    item = flying.pop(future)
                    try:
                        result = future.result()
                    except (*self._executing.lost, Canceled):  # a worker that was told to end raises Canceled
                        self._executing.broken()
                        if not alone:
                            suspects.append(item)
                            continue
                        result = lost(item)
                    except CancelledError as error:
                        raise WorkerLost(
                            _("The connection to the Dask scheduler was lost; start the run again to continue it.")
                        ) from error
                    yield item, result
        finally:
            for future in flying:
                future.cancel()

    def _submit(self, work: bytes, item: Item) -> Future:
        job = (do, work, packed(item))
        try:
            return self._executing.started().submit(*job)
        except BrokenExecutor:  # an idle worker was lost
            self._executing.broken()
            return self._executing.started().submit(*job)


def _raise_lost(item: object) -> NoReturn:
    raise WorkerLost(
        _(
            "A job crashed its process twice, perhaps for lack of memory; start the run again with "
            "fewer jobs to continue it."
        )
    )
