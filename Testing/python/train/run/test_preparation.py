"""Preparing cases in several processes, which must not outlive the run that started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from REACTKDLib.core.errors import FileMissing
from REACTKDTrainLib.training.preparation import WorkerLost, prepare_cases
from REACTKDTrainLib.training.share_threads import VARIABLES, threads_of_children
from support.tiny_phantoms import tiny_cases


def fails_for_the_second(case) -> None:
    if case.id == tiny_cases(3)[1].id:
        raise FileMissing("It is not there.")


def ends_its_process(case) -> None:
    os._exit(1)


def tells_its_threads(case) -> None:
    raise FileMissing(f"{torch.get_num_threads()} {os.environ['OPENBLAS_NUM_THREADS']}")


def test_processes_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    told = prepare_cases(tiny_cases(2), tells_its_threads, workers=2)
    assert set(told.values()) == {"1 1"}
    assert not set(VARIABLES) & set(os.environ)


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with threads_of_children(1):
        assert os.environ["OMP_NUM_THREADS"] == "5"
    assert os.environ["OMP_NUM_THREADS"] == "5"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_is_told_by_case_and_the_rest_is_done(workers: int) -> None:
    done = []
    cases = tiny_cases(3)
    failed = prepare_cases(cases, fails_for_the_second, workers, told=lambda n, of: done.append((n, of)))
    assert failed == {cases[1].id: "It is not there."}
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_a_lost_worker_is_one_sentence() -> None:
    with pytest.raises(WorkerLost, match="fewer workers"):
        prepare_cases(tiny_cases(3), ends_its_process, workers=2)


SLEEPS = """
import time
from REACTKDTrainLib.training.preparation import prepare_cases
from support.tiny_phantoms import tiny_cases

def sleep(case):
    print("working", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    prepare_cases(tiny_cases(2), sleep, workers=2)
"""


def test_workers_go_when_the_run_is_killed(tmp_path: Path) -> None:
    # as Slicer does on Cancel, which leaves a run no time to tell its workers
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
    _, left = psutil.wait_procs(workers, timeout=10)
    assert left == []
