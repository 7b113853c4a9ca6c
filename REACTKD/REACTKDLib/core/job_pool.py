"""Many jobs of one kind: in this process, in several, or on a cluster; the jobs of a lost worker are done again."""

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
_POLL_S = 0.2  # so soon a stop is seen


class WorkerLost(ReactkdError):
    """A worker process is gone, and its job ended another one too."""

    code = "worker-lost"


class JobPool(Generic[Item, Result]):
    """Calls one function for many items, by an engine that is started with the first items.

    Processes stay until the pool is left, so what `work` reads once is read once in each. They end when the process
    that started them ends, however it ends. When a worker is lost, every job that could have been in it is done again,
    one at a time: so the one that ends its process is known, and no other suffers.

    work: called with each item. Unless in this process it is pickled, and so are items and results; on a cluster the
    paths in them must be the same on every computer.

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
        """Cancel what has not begun; a stop ends what has begun too, within a second."""
        self._executing.close(stop=kind is not None and issubclass(kind, (KeyboardInterrupt, Canceled, SystemExit)))

    def results(
        self,
        items: Sequence[Item],
        on_progress: OnProgress = no_progress,
        lost: Callable[[Item], Result] | None = None,
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with its result, in the order in which they are done.

        on_progress: called before each is handed out, with the share that is done and '3 of 20'. lost: the result of a
        job that ended its process twice; without it that raises.
        Raises: what `work` raises, for the first; WorkerLost, EngineMissing, PackagesMissing. Leave the pool then.
        """
        if self._engine.here:
            found: Iterator[tuple[Item, Result]] = ((item, self._work(item)) for item in items)
        else:
            found = self._elsewhere(items, lost or _raise_lost)
        for done, pair in enumerate(found, start=1):
            on_progress(done / len(items), f"{done} of {len(items)}")
            yield pair

    def _elsewhere(self, items: Sequence[Item], lost: Callable[[Item], Result]) -> Iterator[tuple[Item, Result]]:
        """Few jobs are handed out at a time: what is held does not grow with the number of items."""
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
                    except (*self._executing.lost, Canceled):  # a worker that is asked to end leaves by Canceled
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
        except BrokenExecutor:  # a worker was lost that had nothing to do
            self._executing.broken()
            return self._executing.started().submit(*job)


def _raise_lost(item: object) -> NoReturn:
    raise WorkerLost(
        _(
            "A job crashed its process twice, perhaps for lack of memory; start the run again with "
            "fewer jobs to continue it."
        )
    )
