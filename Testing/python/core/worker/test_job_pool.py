"""A pool of processes: each item done once, errors reported, no process left running, no core assigned twice."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.job_engines import THREAD_VARIABLES, Engine, EngineMissing, processes_can_start
from REACTKDLib.core.job_pool import JobPool, WorkerLost
from support.pool_jobs import EndsOnce, Sum, threads


@pytest.fixture
def nothing_left():
    yield
    end = time.monotonic() + 60
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_item_is_done_once_and_a_worker_is_reused(workers: int, nothing_left: None) -> None:
    numbers = [*range(5, 12)]
    with JobPool(Sum(), Engine(workers)) as pool:
        told = [found for items in (numbers, numbers) for found in pool.results(items)]
    assert sorted(number for number, _ in told) == sorted(2 * numbers)
    assert all(total == sum(range(number)) for number, (total, _, _) in told)
    processes = {process for _, (_, process, _) in told}
    assert len(processes) <= workers and (os.getpid() in processes) is (workers == 1)
    asked = [max(n for _, (_, process, n) in told if process == own) for own in processes]
    assert sum(asked) == len(told), "the same processes serve the second list"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_is_raised_and_what_has_not_begun_is_canceled(workers: int, nothing_left: None) -> None:
    found = []
    with pytest.raises(ValueError, match="no 13"), JobPool(Sum(), Engine(workers)) as pool:
        for number, _ in pool.results([20, 13, *range(30, 20_000)]):
            found.append(number)
    assert len(found) < 15_000  # one process may finish many while the other starts


def test_closing_the_results_cancels_the_remaining_items(nothing_left: None) -> None:
    with pytest.raises(KeyboardInterrupt), JobPool(Sum(), Engine(2)) as pool:
        for _ in pool.results(range(20, 400)):
            raise KeyboardInterrupt


def test_a_job_that_ends_its_process_twice_is_one_sentence(nothing_left: None) -> None:
    with pytest.raises(WorkerLost, match="start the run again with fewer jobs to continue it.$"):
        with JobPool(Sum(), Engine(2)) as pool:
            list(pool.results([-1, 20]))


def test_jobs_of_a_lost_process_are_repeated_and_the_one_that_ends_it_is_identified(nothing_left: None) -> None:
    with JobPool(Sum(), Engine(2)) as pool:
        found = dict(pool.results([20, -1, *range(30, 36)], lost=lambda number: f"lost {number}"))
    assert found.pop(-1) == "lost -1"
    assert {number: total for number, (total, _, _) in found.items()} == {
        number: sum(range(number)) for number in (20, *range(30, 36))
    }


def test_a_process_that_is_ended_from_outside_loses_nothing(tmp_path: Path, nothing_left: None) -> None:
    with JobPool(EndsOnce(tmp_path / "ended"), Engine(jobs=1, apart=True)) as pool:
        found = dict(pool.results([1, 2, 3]))
    assert found == {1: 10, 2: 20, 3: 30} and (tmp_path / "ended").exists()


def test_an_unavailable_engine_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Engine(0)
    with pytest.raises(EngineMissing, match="No Dask scheduler answers at tcp://127.0.0.1:1;"):
        with JobPool(Sum(), Engine(dask="tcp://127.0.0.1:1", connect_s=0.5)) as pool:
            list(pool.results([20]))


@pytest.mark.skipif(sys.platform != "linux", reason="semaphores are files on Linux alone")
def test_processes_that_the_system_cannot_start_are_refused_in_one_sentence() -> None:
    """As where /dev/shm cannot be written: a semaphore is a file there, and none may be written here."""
    import resource

    assert processes_can_start()
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, allowed[1]))
    try:
        with pytest.raises(EngineMissing, match=r"^No process can be started .* one job at a time \(--jobs 1\)"):
            with JobPool(Sum(), Engine(jobs=2)) as pool:
                list(pool.results([20]))
        assert not processes_can_start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert processes_can_start()


@pytest.mark.parametrize("address", ["127.0.0.1", "tcp://head", "http://head:8786", "scheduler.json", "head:", " "])
def test_what_is_no_address_of_a_scheduler_is_refused_at_once(address: str) -> None:
    """Dask tried it for half a minute and printed a traceback after our sentence."""
    with pytest.raises(UsageError, match="is not an address of a Dask scheduler; write .* such as tcp://head:8786"):
        Engine(dask=address)


@pytest.mark.parametrize("address", ["tcp://head:8786", "head:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"])
def test_an_address_of_a_scheduler_is_taken(address: str) -> None:
    assert Engine(dask=address).dask == address


def test_a_scheduler_without_a_worker_is_refused_in_one_sentence_and_keeps_running() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        with pytest.raises(EngineMissing, match="The Dask scheduler has no worker"):
            with JobPool(Sum(), Engine(dask=cluster.scheduler_address, connect_s=0.5)) as pool:
                list(pool.results([20]))
        still = lambda: [name for name in cluster.scheduler.clients if name != "fire-and-forget"]  # noqa: E731
        end = time.monotonic() + 60
        while still() and time.monotonic() < end:
            time.sleep(0.05)
        assert not still(), "the connection stays open"


def test_processes_share_the_threads(monkeypatch: pytest.MonkeyPatch, nothing_left: None) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    with JobPool(threads, Engine(2)) as pool:
        assert [told for _, told in pool.results([1, 2])] == ["1 1", "1 1"]
    assert not set(THREAD_VARIABLES) & set(os.environ)


@pytest.mark.slow
def test_thread_limits_set_by_the_user_are_kept(monkeypatch: pytest.MonkeyPatch, nothing_left: None) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    with JobPool(threads, Engine(jobs=1, apart=True)) as pool:
        assert next(pool.results([1]))[1].endswith(" 5")


SLEEPS = """
import os, time
from REACTKDLib.core.job_engines import Engine
from REACTKDLib.core.job_pool import JobPool

def sleep(_):
    os.write(1, b"working\\n")  # at once: what two of them print may come mixed
    time.sleep(60)

if __name__ == "__main__":
    with JobPool(sleep, Engine(2)) as pool:
        list(pool.results([1, 2]))
"""


def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    import psutil

    # Slicer does the same on Cancel, so the run has no time to stop its workers
    (tmp_path / "run.py").write_text(SLEEPS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py")], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert run.stdout.readline() == b"working\n"
    workers = psutil.Process(run.pid).children(recursive=True)
    assert len(workers) >= 2
    run.kill()
    run.wait()
    _, left = psutil.wait_procs(workers, timeout=60)
    assert left == []
