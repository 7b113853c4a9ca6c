"""Where jobs run: in processes of this computer (loky, which comes with joblib), or on a running Dask cluster.

Both are used as an `Executor` of `concurrent.futures`. docs/decisions explains why not `joblib.Parallel`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from REACTKDLib.core.errors import Canceled, PackagesMissing, ReactkdError, UsageError
from REACTKDLib.core.garbage import end_without_collection
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

#: read by each process when its numerical libraries are loaded: OpenMP and torch, numpy's OpenBLAS, MKL
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
STOP_GRACE_S = 0.8
_WATCH_S = 0.2
_ADDRESS = re.compile(r"inproc://\S+|((tcp|tls|ucx|ws|wss)://)?[^/\s]+:[0-9]+")

_one_at_a_time = threading.Lock()  # torch's number of threads is a setting of the process: see `core.one_thread`
_busy = _ending = False
_work: tuple[bytes, Any] = (b"", None)  # in a worker: its function, kept so that what it has loaded is loaded once


class EngineMissing(ReactkdError):
    """The cluster does not respond or has no worker, or the system lets no process start."""

    code = "engine-missing"


@dataclass(frozen=True)
class Engine:
    """Where jobs run.

    jobs: number of jobs in parallel on this computer; 1 runs them in the calling process unless `apart`. dask: address
    of a Dask scheduler, such as 'tcp://head:8786', to use instead of this computer. connect_s: timeout in seconds for
    the scheduler and its first worker. apart: run even a single job in a separate process, so that a crash does not end
    the caller.
    """

    jobs: int = 1
    dask: str = ""
    apart: bool = False
    connect_s: float = 10.0

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(_("The number of jobs is at least 1."))
        if self.dask and not _ADDRESS.fullmatch(self.dask):  # Dask tries it for long, and prints a traceback
            text = _("{address} is not an address of a Dask scheduler; write host and port, such as tcp://head:8786.")
            raise UsageError(text, address=quoted([self.dask]))

    @property
    def here(self) -> bool:
        """True if jobs run in the calling process."""
        return self.jobs == 1 and not self.dask and not self.apart


#: runs jobs in the calling process
HERE = Engine()


class Executing:
    """The executor of an engine, created with the first job and again after a lost worker has broken it.

    width: number of jobs to submit at a time; two for each parallel job, so that no worker is idle.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._executor: Executor | None = None
        self._client: Any = None

    @property
    def width(self) -> int:
        """Computed on each call, since a cluster grows and shrinks."""
        return 2 * (sum(self._client.nthreads().values()) if self._client is not None else self._engine.jobs) or 2

    def started(self) -> Executor:
        """Return the executor, starting it if necessary. Raises: EngineMissing, PackagesMissing."""
        if self._executor is None:
            self._executor = self._on_cluster() if self._engine.dask else _processes(self._engine.jobs)
        return self._executor

    def broken(self) -> None:
        """Handle the loss of a worker: a cluster continues without it; local processes are started again."""
        if self._client is None:
            self.close()

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """The exceptions that a future raises if its worker is lost."""
        if self._client is None:
            return (BrokenExecutor,)
        return (importlib.import_module("distributed").KilledWorker,)

    def close(self, stop: bool = False) -> None:
        """End the processes once their jobs are done, or immediately with `stop`."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if self._client is not None:
            executor.shutdown(wait=False)
            self._client, client = None, self._client
            client.close()
        elif stop:
            _stop_processes(executor)
        else:
            executor.shutdown(wait=True)

    def _on_cluster(self) -> Executor:
        import asyncio

        try:
            distributed = importlib.import_module("distributed")
        except ImportError as error:
            raise PackagesMissing(
                _("A Dask cluster needs the package distributed; install it with 'pip install distributed'.")
            ) from error
        try:
            self._client = distributed.Client(self._engine.dask, timeout=self._engine.connect_s, set_as_default=False)
            self._client.wait_for_workers(1, timeout=self._engine.connect_s)
        except (OSError, ValueError, TimeoutError, asyncio.TimeoutError) as error:  # not the same until 3.11
            client, self._client = self._client, None
            if client is not None:
                client.close()
                raise EngineMissing(
                    _("The Dask scheduler has no worker; start one with 'dask worker' and its address.")
                ) from error
            raise EngineMissing(
                _("No Dask scheduler answers at {address}; start one with 'dask scheduler', or correct the address."),
                address=self._engine.dask,
            ) from error
        return self._client.get_executor(pure=False)


def packed(thing: Any) -> bytes:
    """Return the bytes to send to a worker. Dask passes bytes along with the job and stores them on no worker.

    Functions defined in a script or notebook can be sent too. Raises: PackagesMissing.
    """
    return _cloudpickle().dumps(thing)


def _cloudpickle() -> Any:
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):  # bundled with joblib until 1.5
        with suppress(ImportError):
            return importlib.import_module(name)
    raise PackagesMissing(_("Several jobs at a time need the package joblib; install it with 'pip install joblib'."))


def do(work: bytes, item: bytes) -> Any:
    """In a worker: run one job, with both arguments as `packed`; one at a time in each process."""
    global _work, _busy
    with _one_at_a_time:
        if _ending:
            raise Canceled(_("The work was stopped."))
        if _work[0] != work:
            _work = (work, pickle.loads(work))
        _busy = True
        try:
            return _work[1](pickle.loads(item))
        finally:
            _busy = False


def share_of(jobs: int) -> int:
    """Return the number of threads for each of `jobs` processes, at least one."""
    return max(1, (os.cpu_count() or 1) // max(jobs, 1))


def processes_can_start() -> bool:
    """Return True if the system provides the semaphores by which worker processes share work.

    On Linux they are files in /dev/shm, which some containers lack or do not let their user write.
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):
        return False
    return True


def _processes(jobs: int) -> Executor:
    """Start the processes, with the cores divided among them.

    On two cores, two processes with two threads each took 1.4 times the processor time of one thread each.
    Raises: EngineMissing.
    """
    if not processes_can_start():
        text = _(
            "No process can be started here, since the system provides no semaphores (on Linux, /dev/shm is missing, "
            "full or read-only); run one job at a time (--jobs 1), or make /dev/shm writable."
        )
        raise EngineMissing(text)
    from joblib.externals.loky import ProcessPoolExecutor

    wanted = dict.fromkeys(THREAD_VARIABLES, str(share_of(jobs)))
    wanted["PYTHONFAULTHANDLER"] = ""  # a crash is reported in one sentence instead
    own = {name: value for name, value in wanted.items() if name not in os.environ}
    return ProcessPoolExecutor(jobs, initializer=_begin, initargs=(os.getpid(),), env=own)


def _stop_processes(executor: Any) -> None:
    """Let every process clean up, and kill those that take too long."""
    processes = list(executor._processes.values())
    for process in processes:
        process.terminate()
    until = time.monotonic() + STOP_GRACE_S
    while any(process.is_alive() for process in processes) and time.monotonic() < until:
        time.sleep(0.02)
    executor.shutdown(wait=True, kill_workers=True)


def _begin(parent: int) -> None:
    end_without_collection()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the parent decides
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end(number: int, frame: object) -> None:
    """Exit by an exception, so that no partial output remains."""
    global _ending
    _ending = True
    threading.Thread(target=_leave_when_idle, daemon=True).start()
    if _busy:
        raise Canceled(_("The work was stopped."))


def _leave_when_idle() -> None:
    until = time.monotonic() + STOP_GRACE_S
    while _busy and time.monotonic() < until:
        time.sleep(0.01)
    os._exit(1)


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone: a parent that is killed, as Slicer does on Cancel, cannot stop its
    workers.
    """
    if os.name == "nt":
        multiprocessing.parent_process().join()
    while os.name != "nt" and os.getppid() == parent:  # `join` fails: siblings keep its pipe open
        time.sleep(_WATCH_S)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
        time.sleep(2 * STOP_GRACE_S)
    os._exit(1)
