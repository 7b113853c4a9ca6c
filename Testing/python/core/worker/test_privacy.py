"""No patient data is left in files, and no network connection is made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from REACTKDLib.core.modality import Modality
from REACTKDLib.core.worker import interpreter, jobs
from REACTKDLib.core.worker.client import WorkerClient
from REACTKDLib.core.worker.events import JobDone, JobFailed
from support.case_files import write_case
from support.small_cases import small_case
from support.worker_runs import files_in, wait

CANARY = "Doe^Canary"
NO_NETWORK = """
import sys
def refuse(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        open({marker!r}, "a").write(event)
        raise PermissionError("no network here")
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def marker(tmp_path_factory) -> Path:
    """The file that a worker which tries to reach the network leaves."""
    return tmp_path_factory.mktemp("network") / "tried"


@pytest.fixture(scope="module")
def client(tmp_path_factory, marker) -> Iterator[WorkerClient]:
    """A worker that has no network from its start on."""
    hooks = tmp_path_factory.mktemp("path")
    (hooks / "sitecustomize.py").write_text(NO_NETWORK.format(marker=str(marker)))
    paths = [str(hooks), interpreter.worker_environment()["PYTHONPATH"]]
    made = WorkerClient(environment={"PYTHONPATH": os.pathsep.join(paths)})
    yield made
    made.close()


def watched(client: WorkerClient, ticket: int, found: list[str]):
    """Wait for a job, inspecting every file and name in the folder meanwhile."""

    def look(_event) -> bool:
        for path in client.scratch.path.rglob("*"):
            if CANARY in str(path) or (path.is_file() and CANARY.encode() in path.read_bytes()):
                found.append(path.name)
        return False

    return wait(client, ticket, until=look)


def test_no_name_is_left_in_the_folder_the_output_or_the_answer(client, model, tmp_path, capfd):
    write_case(small_case(), tmp_path / CANARY)
    found: list[str] = []
    files = files_in(tmp_path / CANARY)
    done = watched(client, client.submit(jobs.GradeFiles("a", files, model)), found)
    absent = replace(files, images={Modality.CT: tmp_path / CANARY / "absent.nii.gz"})
    failed = watched(client, client.submit(jobs.GradeFiles("b", absent, model)), found)
    assert isinstance(done, JobDone) and isinstance(failed, JobFailed)
    assert found == [] and CANARY not in done.result.report.to_json() and CANARY not in failed.message
    assert CANARY not in "".join(capfd.readouterr())


def test_it_works_with_the_network_blocked_and_does_not_try(client, model, marker, tmp_path):
    write_case(small_case(), tmp_path / "case")
    for job in (jobs.GradeFiles("a", files_in(tmp_path / "case"), model), jobs.Draw("a"), jobs.WhatIf("a")):
        assert isinstance(wait(client, client.submit(job)), JobDone)
    assert not marker.exists()


def test_the_block_of_that_test_does_block(tmp_path):
    marker = tmp_path / "tried"
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK.format(marker=str(marker)))
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert ended.returncode != 0 and marker.exists()
