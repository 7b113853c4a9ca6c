"""Objects of libraries are left out of garbage collection, in processes of our own and only there."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from REACTKDLib.core.garbage import loading
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import JobFailed
from support.small_cases import small_case
from support.worker_runs import grade_job, save_small_model, wait


class Thing:
    """An object that a weak reference can watch."""


def test_what_is_loaded_is_left_out_and_freed_when_nothing_refers_to_it():
    with loading():
        assert not gc.isenabled()
        thing = Thing()
    try:
        assert gc.isenabled()
        assert not any(found is thing for found in gc.get_objects())
        watched = weakref.ref(thing)
        del thing
        assert watched() is None
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on():
    with pytest.raises(ImportError), loading():
        raise ImportError
    gc.unfreeze()
    assert gc.isenabled()


@pytest.mark.parametrize(
    "package, function, own",
    [(p, f, f == "command") for p in ("REACTKDLib", "REACTKDTrainLib") for f in ("main", "command")],
)
def test_only_a_process_of_our_own_ends_without_a_last_collection(package, function, own):
    script = f"""
import atexit, gc, sys
atexit.register(lambda: print("left out:", gc.get_freeze_count() > 10_000))  # runs last
from {package}.__main__ import {function} as run
sys.argv = ["reactkd", "--version"]
run()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert f"left out: {own}" in done.stdout, done.stderr


def test_the_libraries_of_the_worker_are_left_out_after_its_first_job(tmp_path):
    client = WorkerClient(runner="support.worker_runs:ReportsGarbage")
    try:
        model = save_small_model(tmp_path)
        wait(client, client.submit(jobs.WarmUp(model)))
        event = wait(client, client.submit(grade_job(client, small_case(), model)))
    finally:
        client.close()
    assert isinstance(event, JobFailed) and event.code == "usage"
    assert int(event.message.split()[0]) > 100_000, event.message
