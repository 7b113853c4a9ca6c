"""Preparing all cases of a run before anything is trained, so that what cannot be read is told at once."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from REACTKDLib.core.errors import ReactkdError
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.training.share_threads import share_of, threads_of_children

Prepare = Callable[[CohortCase], None]


class UnreadableCase(ReactkdError):
    """A case of a cohort cannot be read."""

    code = "unreadable-case"


class WorkerLost(ReactkdError):
    """A process that prepared cases is gone."""

    code = "worker-lost"


def prepare_cases(
    cases: Sequence[CohortCase],
    make: Prepare,
    workers: int = 1,
    told: Callable[[int, int], None] | None = None,
    stop: Callable[[], None] | None = None,
) -> dict[str, str]:
    """Call `make` for each case, in `workers` processes that share the threads. Returns case id -> why it cannot be
    read.

    told(done, of). stop: raises when the run is to end; looked at after every case.
    Raises: WorkerLost, and what `stop` raises.
    """
    failed: dict[str, str] = {}

    def note(case: CohortCase, error: ReactkdError | None, done: int) -> None:
        if error is not None:
            failed[case.id] = str(error)
        if told is not None:
            told(done, len(cases))
        if stop is not None:
            stop()

    if workers <= 1 or len(cases) < 2:
        for done, case in enumerate(cases, start=1):
            note(case, _error_of(make, case), done)
        return failed
    context = multiprocessing.get_context("spawn")
    with (
        threads_of_children(share_of(workers)),
        ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_the_run) as pool,
    ):
        futures = {pool.submit(_error_of, make, case): case for case in cases}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                note(futures[future], future.result(), done)
        except BrokenProcessPool as error:
            raise WorkerLost(
                "A process that prepared cases was ended from outside, perhaps for want of memory; resume with fewer "
                "workers."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def without(cohort: Cohort, failed: dict[str, str], skip: bool) -> Cohort:
    """The cohort without its unreadable cases, if they may be skipped.

    Raises: UnreadableCase that names the first one, or says that none is left.
    """
    own = [(case.id, failed[case.id]) for case in cohort.cases if case.id in failed]
    if not own:
        return cohort
    name, reason = own[0]
    if not skip:
        more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
        raise UnreadableCase(f"Case {name} cannot be read{more}: {reason} Or leave such cases out (--skip-unreadable).")
    kept = tuple(case for case in cohort.cases if case.id not in failed)
    if not kept:
        raise UnreadableCase(f"No case of the cohort {cohort.name} can be read; the first, {name}: {reason}")
    return replace(cohort, cases=kept, skipped=(*cohort.skipped, *own))


class Storing:
    """`make` for `prepare_cases`: into a store."""

    def __init__(self, store: PreparedStore):
        self._store = store

    def __call__(self, case: CohortCase) -> None:
        self._store.get(case)


def _error_of(make: Prepare, case: CohortCase) -> ReactkdError | None:
    try:
        make(case)
    except ReactkdError as error:
        return error
    return None


def end_with_the_run() -> None:
    """In a worker, at its start: go when the run goes; one that is killed, as Slicer does on Cancel, cannot tell it."""
    run = multiprocessing.parent_process()

    def watch() -> None:
        run.join()
        os._exit(1)

    if run is not None:
        threading.Thread(target=watch, daemon=True).start()
