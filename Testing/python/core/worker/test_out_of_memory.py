"""Memory that runs short in the worker or in its client, under limits of the system: one sentence, and work goes on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from REACTKDLib.__main__ import _message
from REACTKDLib.core.errors import NotAnImage, OutOfMemory
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.worker.client import DIED, WorkerClient
from REACTKDLib.core.worker.events import JobDone, JobFailed
from REACTKDLib.core.worker.server import _code_and_text
from REACTKDTrainLib.commands.faults import explain
from support.memory_limit import address_space
from support.worker_runs import grade_job, wait

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process: Linux only")

MIB = 2**20


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[WorkerClient]:
    """A client for all limits, as the application has one; it starts another process if one ends."""
    made = WorkerClient(scratch_parent=tmp_path_factory.mktemp("client"))
    yield made
    made.close()


@pytest.mark.parametrize("spare_mib", [0, 8, 24])
def test_a_worker_without_memory_says_so_and_grades_when_there_is_some(client, case, model, spare_mib) -> None:
    """How much is enough depends on the libraries; one that cannot report a lack of memory ends the process."""
    first = wait(client, client.submit(grade_job(client, case, model))).result.report
    worker = client.process_id
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    resource.prlimit(worker, resource.RLIMIT_AS, (address_space(worker) + spare_mib * MIB, limits[1]))
    event = wait(client, client.submit(grade_job(client, case, model, "b")))
    if client.process_id == worker:
        resource.prlimit(worker, resource.RLIMIT_AS, limits)
    if isinstance(event, JobFailed):
        short = OutOfMemory.code, str(out_of_memory())
        assert (event.code, event.message) in (short, ("worker-died", DIED))
    else:
        assert isinstance(event, JobDone) and spare_mib
    again = wait(client, client.submit(grade_job(client, case, model, "c"))).result.report
    assert again.probabilities == first.probabilities


CLIENT = """
import resource, sys
from pathlib import Path
import numpy as np
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.client import WorkerClient
from support.memory_limit import short_of_memory
from support.small_cases import small_case
from support.worker_runs import grade_job, save_small_model, wait

client, model, case = WorkerClient(scratch_parent=sys.argv[1]), save_small_model(Path(sys.argv[1])), small_case()
first = wait(client, client.submit(grade_job(client, case, model))).result.report
job = grade_job(client, case, model, "b")
with short_of_memory(0):
    event = wait(client, client.submit(job))
print(type(event).__name__, event.code, event.message, sep="|")
again = wait(client, client.submit(grade_job(client, case, model, "c"))).result.report
print(again.probabilities == first.probabilities)
client.close()
"""


def test_a_client_without_memory_for_an_answer_says_so(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", CLIENT, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == [f"JobFailed|out-of-memory|{out_of_memory()}", "True"], done.stderr


ALLOCATE = {
    "numpy": lambda: np.zeros(2**46, np.uint8) + 1,
    "torch": lambda: torch.zeros(2**46),
    "SimpleITK": lambda: SimpleITK.Image([2**15] * 3, SimpleITK.sitkFloat64),
}


@pytest.mark.parametrize("library", sorted(ALLOCATE))
def test_a_lack_of_memory_is_recognized_however_a_library_reports_it(library: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011 - of any kind
        ALLOCATE[library]()
    assert lacks_memory(caught.value), caught.value


def test_other_faults_are_no_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        os.mkdir(tmp_path)
    assert not any(map(lacks_memory, (caught.value, ValueError("out of memory"), RuntimeError("shape"))))


def test_a_lack_of_memory_that_a_reader_took_for_a_damaged_file_is_called_by_its_name() -> None:
    """Readers of other libraries' formats say of every error that the file cannot be read."""

    def read() -> None:
        try:
            ALLOCATE["numpy"]()
        except Exception as error:
            raise NotAnImage("The file of the CT cannot be read; copy it again.") from error

    with pytest.raises(NotAnImage) as caught:
        read()
    assert _code_and_text(caught.value) == ("out-of-memory", str(out_of_memory()))
    assert "not enough memory" in _message(caught.value) and "not enough memory" in explain(caught.value)
    damaged = NotAnImage("The file of the CT cannot be read; copy it again.")
    assert _code_and_text(damaged) == ("not-an-image", str(damaged)) and _message(damaged) == str(damaged)
