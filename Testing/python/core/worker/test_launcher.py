"""A worker behind a launcher that stays its parent: ending one ends both, and a survivor does not harm the next."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from host.python_slicer import write_launcher
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import JobCanceled, JobDone, JobFailed, JobProgress, WorkerDied
from REACTKDLib.core.worker.folder import ScratchFolder, remove_abandoned
from support.waits import within
from support.worker_runs import grade_job, hand_over, wait

SLOW_DISK = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            time.sleep(30)
sys.meta_path.insert(0, Slow())
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[WorkerClient]:
    made = WorkerClient(python=write_launcher(tmp_path), scratch_parent=tmp_path)
    yield made
    made.close()


def answers(client: WorkerClient, case) -> bool:
    """Whether a job returns its answer: the mask checks, which need no network."""
    return isinstance(wait(client, client.submit(jobs.CheckArrays(*hand_over(client, case)))), JobDone)


def family(client: WorkerClient) -> list[psutil.Process]:
    """The launcher process and the interpreter that it started."""
    launcher = psutil.Process(client.process_id)
    both = [launcher, *launcher.children(recursive=True)]
    assert len(both) == 2, "the launcher became the interpreter, so this tests nothing"
    return both


def gone(processes: list[psutil.Process], client: WorkerClient, seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.poll()
        if not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes):
            return True
        time.sleep(0.01)
    return False


def test_cancel_while_torch_loads_twice_then_grade(client, case, model, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(SLOW_DISK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    for _ in range(2):
        ticket = client.submit(grade_job(client, case, model))
        wait(client, ticket, until=lambda e: isinstance(e, JobProgress) and "Loading" in e.text)
        both = family(client)
        with within(1.0):
            client.cancel()
            assert isinstance(wait(client, ticket), JobCanceled)
        assert client.process_id is None, "it has stopped by itself, so nothing was loading"
        assert gone(both, client)
    monkeypatch.undo()
    event = wait(client, client.submit(grade_job(client, case, model)))
    assert isinstance(event, JobDone), event
    assert sum(event.result.report.probabilities.values()) == pytest.approx(1.0)
    assert len(list(client.scratch.path.glob("worker-*"))) == 1, "those of the ended ones are removed"


def test_after_any_end_of_launcher_or_interpreter_the_next_job_is_done_and_close_ends_both(client, case):
    """The launcher is killed together with its interpreter, then the interpreter alone, then the cases below."""
    assert answers(client, case)
    both = family(client)
    os.kill(client.process_id, signal.SIGKILL)
    wait(client, 0, until=lambda e: isinstance(e, WorkerDied))
    assert gone(both, client)
    assert answers(client, case)

    os.kill(family(client)[1].pid, signal.SIGKILL)
    wait(client, 0, until=lambda e: isinstance(e, WorkerDied))
    assert answers(client, case)

    a_survivor_removes_its_own_folder_and_not_the_clients(client, case)
    a_temporary_folder_that_was_cleaned_up_is_made_anew(client, case)
    both, folder = family(client), client.scratch.path
    client.close()
    assert gone(both, client) and not folder.exists()


def a_survivor_removes_its_own_folder_and_not_the_clients(client, case):
    """Where the process group cannot be killed: the interpreter sees its input close while the client lives on."""
    both, folder = family(client), client.scratch.path
    (own,) = folder.glob("worker-*")
    client._process._popen.stdin.close()
    # No code waits for a survivor; on a busy machine it needs more than a few seconds.
    assert gone(both, client, 60.0) and folder.is_dir() and not own.exists()
    assert answers(client, case)
    assert client.scratch.path == folder


def a_temporary_folder_that_was_cleaned_up_is_made_anew(client, case):
    first = client.scratch
    first.remove()
    assert answers(client, case)
    assert client.scratch.path != first.path


def test_a_job_is_reported_as_failed_if_its_folder_was_removed(tmp_path, case, model):
    client = WorkerClient(scratch_parent=tmp_path, runner="support.worker_runs:Patient")
    try:
        ticket = client.submit(grade_job(client, case, model))
        wait(client, ticket, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
        client.scratch.remove()
        assert client.scratch.path.is_dir()
        event = wait(client, ticket)
        assert isinstance(event, JobFailed) and event.code == "no-scratch-space"
    finally:
        client.close()
    assert not list(tmp_path.glob("reactkd-worker-*"))


def test_only_the_folder_of_a_dead_owner_counts_as_abandoned(tmp_path):
    owned = ScratchFolder(tmp_path)
    (owned.path / "1.npy").touch()
    assert not remove_abandoned(owned.path) and (owned.path / "1.npy").exists()
    owned._lock.close()  # as the operating system does when the owner dies
    assert remove_abandoned(owned.path) and not owned.path.exists()


@pytest.mark.skipif(os.name == "nt", reason="links to folders need a privilege on Windows")
def test_a_link_in_the_temporary_folder_is_not_cleared_away(tmp_path):
    """Everybody may write to the system's temporary folder, so a name there proves nothing about what it leads to."""
    precious, shared = tmp_path / "precious", tmp_path / "shared"
    precious.mkdir()
    shared.mkdir()
    for name in ("in-use.lock", "results.csv"):
        (precious / name).write_text("kept")
    (shared / "reactkd-worker-link").symlink_to(precious, target_is_directory=True)
    folder = shared / "reactkd-worker-folder"
    folder.mkdir()
    (folder / "in-use.lock").symlink_to(precious / "results.csv")
    ScratchFolder(shared).remove()
    assert not remove_abandoned(shared / "reactkd-worker-link") and not remove_abandoned(folder)
    assert [(precious / name).read_text() for name in ("in-use.lock", "results.csv")] == ["kept", "kept"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_cleared_away(tmp_path):
    folder = tmp_path / "reactkd-worker-theirs"
    folder.mkdir()
    for name in ("in-use.lock", "1.npy"):
        (folder / name).touch()
    os.chown(folder, 12345, 12345)
    ScratchFolder(tmp_path).remove()
    assert (folder / "1.npy").exists()
