"""A worker that is stopped, dies, sends garbage, does not start or has no space: one sentence, and work continues."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from REACTKDLib.core.errors import NoScratchSpace, WorkerNotStarted
from REACTKDLib.core.worker import interpreter, jobs
from REACTKDLib.core.worker.arrays import write_array
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import JobCanceled, JobDone, JobFailed, JobProgress, WorkerDied
from REACTKDLib.core.worker.folder import PREFIX, ScratchFolder
from support.case_files import write_case
from support.small_cases import small_case
from support.waits import within
from support.worker_runs import files_in, grade_job, wait


@pytest.fixture
def make(tmp_path) -> Iterator:
    made = []

    def client(**options) -> WorkerClient:
        made.append(WorkerClient(scratch_parent=tmp_path, **options))
        return made[-1]

    yield client
    for one in made:
        one.close()
    assert [path.name for path in tmp_path.glob(f"{PREFIX}*")] == []


@pytest.fixture(scope="module")
def patient(tmp_path_factory) -> Iterator[WorkerClient]:
    """A client whose jobs take ten seconds and can be canceled; every test leaves it idle."""
    folder = tmp_path_factory.mktemp("patient")
    made = WorkerClient(scratch_parent=folder, runner="support.worker_runs:Patient")
    yield made
    made.close()
    assert list(folder.iterdir()) == []


def script(path: Path, text: str) -> str:
    """Write a shell script that stands in for Python, and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def one_sentence(message: str) -> None:
    assert message.endswith(".") and message.count(". ") == 0 and "Traceback" not in message and "\n" not in message


def test_a_job_that_checks_for_cancellation_stops_at_once_and_the_process_is_kept(patient, case, model):
    client = patient
    ticket = client.submit(grade_job(client, case, model))
    wait(client, ticket, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    process = client.process_id
    with within(1.0):
        client.cancel()
        assert isinstance(wait(client, ticket), JobCanceled)
    assert isinstance(wait(client, client.submit(jobs.WarmUp(model))), JobDone) and client.process_id == process


def test_a_job_that_does_not_check_for_cancellation_is_ended_with_its_process(make, case, model):
    client = make(runner="support.worker_runs:Stubborn")
    ticket = client.submit(grade_job(client, case, model))
    wait(client, ticket, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    process, seen = client.process_id, []
    with within(1.0):
        client.cancel(ticket)
        assert isinstance(wait(client, ticket, seen), JobCanceled)
    assert not any(isinstance(event, WorkerDied) for event in seen)
    assert isinstance(wait(client, client.submit(jobs.WarmUp(model))), JobDone)
    assert client.process_id != process and not psutil.pid_exists(process)


def test_a_job_is_waited_for_only_while_it_runs(patient, case, model):
    client = patient
    long = client.submit(grade_job(client, case, model))
    wait(client, long, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    behind = client.submit(jobs.WarmUp(model))
    with within(1.0):  # behind a job of ten seconds
        client.settle(behind, 60.0)
    assert isinstance(wait(client, behind), JobCanceled) and client.busy
    process = client.process_id
    with within(1.0):
        client.settle(long, 0.0)
    assert isinstance(wait(client, long), JobCanceled) and client.process_id == process
    last = client.submit(jobs.WarmUp(model))
    client.settle(last, 60.0)
    assert [event.ticket for event in client.poll() if isinstance(event, JobDone)] == [last]
    client.settle(last, 60.0)  # it has ended long ago


def a_job_that_has_not_begun_is_taken_back(client, case, model):
    first, second = (client.submit(grade_job(client, case, model, key)) for key in "ab")
    client.cancel(second)
    assert isinstance(wait(client, second), JobCanceled) and isinstance(wait(client, first), JobDone)
    third = client.submit(jobs.WarmUp(model))
    client.close()
    assert client.poll() == [] and third > second


def test_prefetching_is_interrupted_by_a_job_and_repeated(patient, case, model, tmp_path):
    write_case(case, tmp_path / "case")
    client = patient
    ahead = client.submit(jobs.OpenFiles(files_in(tmp_path / "case"), model), background=True)
    wait(client, ahead, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    assert not client.busy
    seen = []
    with within(5.0):  # not the ten seconds
        warm = client.submit(jobs.WarmUp(model))
        assert isinstance(wait(client, warm, seen), JobDone)
    assert not any(isinstance(e, JobCanceled) for e in seen)
    again = wait(client, ahead, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    assert isinstance(again, JobProgress)  # restarted from the beginning
    client.cancel(ahead)
    assert isinstance(wait(client, ahead), JobCanceled)


def test_jobs_wait_for_their_turn(make, case, model, tmp_path):
    """The steps below share one process from its start to its end."""
    write_case(case, tmp_path / "case")
    client = make()
    of_several_to_read_ahead_the_last_is_read(client, model, tmp_path)
    reading_ahead_that_gave_way_is_done_in_the_end(client, model, tmp_path)
    a_job_that_has_not_begun_is_taken_back(client, case, model)


def reading_ahead_that_gave_way_is_done_in_the_end(client, model, tmp_path):
    write_case(small_case(seed=1), tmp_path / "other")  # not the case that was just read
    ahead, seen = client.submit(jobs.OpenFiles(files_in(tmp_path / "other"), model), background=True), []
    warm = client.submit(jobs.WarmUp(model))
    assert isinstance(wait(client, ahead, seen), JobDone)
    assert [e.ticket for e in seen if isinstance(e, JobDone)] == [warm, ahead]


def of_several_to_read_ahead_the_last_is_read(client, model, tmp_path):
    seen = []
    jobs_ahead = [jobs.OpenFiles(files_in(tmp_path / "case"), model) for _ in range(3)]
    tickets = [client.submit(job, background=True) for job in jobs_ahead]  # none has begun: the process is starting
    assert isinstance(wait(client, tickets[-1], seen), JobDone)
    assert sorted(e.ticket for e in seen if isinstance(e, JobCanceled)) == tickets[:-1]


@pytest.mark.parametrize("idle", [pytest.param(True, marks=pytest.mark.slow), False], ids=["idle", "at work"])
def test_a_killed_worker_is_reported_and_restarted(make, patient, case, model, idle):
    client = make() if idle else patient
    ticket, seen = client.submit(jobs.WarmUp(model) if idle else grade_job(client, case, model)), []
    wait(client, ticket, until=lambda e: isinstance(e, JobProgress) and "Analyzing" in e.text)
    os.kill(client.process_id, signal.SIGKILL)
    if not idle:
        event = wait(client, ticket, seen)
        assert isinstance(event, JobFailed) and event.code == "worker-died"
        one_sentence(event.message)
    else:
        wait(client, 0, seen, until=lambda e: isinstance(e, WorkerDied))
    assert [type(e) for e in seen if isinstance(e, WorkerDied)] == [WorkerDied]
    assert isinstance(wait(client, client.submit(jobs.WarmUp(model))), JobDone)


@pytest.mark.parametrize("reply", ["no JSON at all", '{"event": "done"}', '{"event": "ready"}\\n[1, 2]', '{"a": 1}'])
def test_an_unreadable_reply_ends_the_worker(make, model, tmp_path, reply):
    talk = f"""printf '%s\\n' '{{"event": "ready"}}' >> "$3/$4"; read line; printf '{reply}\\n' >> "$3/$4"; sleep 60"""
    client = make(python=script(tmp_path / "nonsense", talk))
    process = []
    ticket = client.submit(jobs.WarmUp(model))
    process.append(client.process_id)
    event = wait(client, ticket)
    assert isinstance(event, JobFailed) and event.code == "worker-garbled"
    one_sentence(event.message)
    client.poll()
    assert client.process_id is None


@pytest.mark.parametrize("how", ["no such program", "ends at once"])
def test_a_worker_that_does_not_start_is_reported(make, model, tmp_path, how):
    python = str(tmp_path / "absent") if how == "no such program" else script(tmp_path / "python", "exit 3")
    client = make(python=python)
    for _ in range(2):  # the second attempt really tries again
        event = wait(client, client.submit(jobs.WarmUp(model)))
        assert isinstance(event, JobFailed) and event.code == "worker-not-started"
        one_sentence(event.message)


def test_a_missing_torch_is_reported(make, case, model, tmp_path):
    (tmp_path / "path" / "torch").mkdir(parents=True)
    (tmp_path / "path" / "torch" / "__init__.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    paths = [str(tmp_path / "path"), interpreter.worker_environment()["PYTHONPATH"]]
    client = make(environment={"PYTHONPATH": os.pathsep.join(paths)})
    event = wait(client, client.submit(grade_job(client, case, model)))
    assert isinstance(event, JobFailed) and event.code == "packages-missing" and "'torch'" in event.message
    one_sentence(event.message)


@pytest.mark.parametrize("blocks", [0, 6], ids=["for its replies", "for its arrays"])
def test_a_worker_without_disk_space_is_reported(make, case, model, tmp_path, blocks):
    limited = script(tmp_path / "limited", f'ulimit -f {blocks}\nexec {sys.executable} "$@"')
    client = make(python=limited, environment={"PYTHONDONTWRITEBYTECODE": "1"})  # they would be cut too, and stay
    event = wait(client, client.submit(grade_job(client, case, model)))
    if blocks:
        event = wait(client, client.submit(jobs.Draw("a")))
    assert isinstance(event, JobFailed) and event.code == "no-scratch-space"
    one_sentence(event.message)
    assert "folder" in event.message


def test_a_missing_temporary_folder_is_reported(tmp_path, model):
    client = WorkerClient(scratch_parent=tmp_path / "absent")
    event = wait(client, client.submit(jobs.WarmUp(model)))
    assert isinstance(event, JobFailed) and event.code == "no-scratch-space"
    client.close()


def test_a_client_without_disk_space_raises_no_scratch_space(tmp_path, case):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(NoScratchSpace) as caught:
            write_array(tmp_path / "1.npy", case.reference.array)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    one_sentence(str(caught.value).replace("; ", ", "))


def test_a_gpu_out_of_memory_falls_back_to_the_cpu(make, case, model):
    client = make(runner="support.worker_runs:OutOfMemory")
    gpu = jobs.Model(model.bundle, "cuda")
    answer = wait(client, client.submit(grade_job(client, case, gpu))).result
    cpu = wait(client, client.submit(grade_job(client, case, model, "b"))).result
    finding = next(f for f in answer.report.findings if f.code == "device-fallback")
    assert answer.report.device == "cpu" and "too little free memory" in finding.message
    assert answer.report.probabilities == pytest.approx(cpu.report.probabilities, abs=1e-6)


OWNER = """
import sys, time
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker import jobs
client = WorkerClient(scratch_parent=sys.argv[1])
client.submit(jobs.WarmUp())
until = time.monotonic() + 60
while not client._process.ready and time.monotonic() < until:
    client.poll()
    time.sleep(0.01)
print(client.process_id, flush=True)
if sys.argv[2] == "waits":
    time.sleep(60)
"""


@pytest.mark.parametrize("end", ["killed", "exits"])
def test_a_worker_ends_with_its_parent_and_leaves_no_folder(tmp_path, end):
    mode = "waits" if end == "killed" else "exits"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), mode], stdout=subprocess.PIPE, text=True)
    process = int(owner.stdout.readline())
    if end == "killed":
        owner.kill()
    owner.wait(30)
    until = time.monotonic() + 30
    while (_alive(process) or any(tmp_path.iterdir())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(process) and list(tmp_path.iterdir()) == []


def _alive(process: int) -> bool:
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def test_the_folder_is_private_and_folders_of_ended_processes_are_removed(tmp_path):
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / "in-use.lock").touch()
    (dead / "1.npy").write_bytes(b"voxels")
    being_made = tmp_path / f"{PREFIX}new"  # created by another process that has not locked it yet
    being_made.mkdir()
    (tmp_path / "somebody-elses").mkdir()
    first = ScratchFolder(tmp_path)
    second = ScratchFolder(tmp_path)
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    assert not dead.exists() and first.path.exists() and second.path.exists() and being_made.exists()
    first.remove()
    first.remove()
    assert not first.path.exists() and (tmp_path / "somebody-elses").exists()
    second.remove()


def test_the_python_of_the_worker_is_found(monkeypatch, tmp_path):
    assert interpreter.find_python() == sys.executable
    (tmp_path / "bin").mkdir()
    application = tmp_path / "bin" / "SlicerApp-real"
    application.touch()
    monkeypatch.setattr(sys, "executable", str(application))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(WorkerNotStarted, match="PythonSlicer"):
        interpreter.find_python()
    own = script(tmp_path / "bin" / "PythonSlicer", "exit")
    assert interpreter.find_python() == own
    monkeypatch.setattr(sys, "executable", own)
    assert interpreter.find_python() == own
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert interpreter.find_python() == own


def test_threads_are_bounded_and_a_choice_of_the_user_is_kept(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= int(interpreter.worker_environment()["OMP_NUM_THREADS"]) <= interpreter.MAX_THREADS
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert interpreter.worker_environment()["OMP_NUM_THREADS"] == "3"
    assert interpreter.worker_environment()["MKL_NUM_THREADS"] == "3"  # torch uses the larger of the two values
