"""Runs of a study in several processes: each made once, faults told, nothing left running."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from REACTKDTrainLib.study.crew import Crew
from REACTKDTrainLib.training.preparation import WorkerLost
from support.sum_study import SumStudy


@pytest.fixture
def nothing_left():
    yield
    end = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_each_run_is_made_once_by_some_process(tmp_path: Path, nothing_left: None) -> None:
    study, ended = SumStudy(tmp_path, tuple(range(20, 28))), []
    study.files.put(study.runs_of("nodes")[0], {"sum": [-1]})  # another call on the folder came first
    crew = Crew(study)
    for kind in ("nodes", "methods"):  # the processes serve one kind after the other
        crew.do(kind, study.runs_of(kind), lambda run, seconds: ended.append((run.title, seconds)))
    crew.close()
    assert len(ended) == 16 == len({title for title, _ in ended}) and all(seconds >= 0 for _, seconds in ended)
    found = [study.files.get(run) for run in (*study.runs_of("nodes"), *study.runs_of("methods"))]
    assert found[0]["sum"].tolist() == [-1]
    assert [int(f["sum"]) for f in found[1:]] == [sum(range(n)) for n in (*range(21, 28), *range(20, 28))]
    assert 1 <= len({int(f["process"]) for f in found[1:]}) <= 2


def test_the_fault_of_a_run_is_told_and_what_was_made_stays(tmp_path: Path, nothing_left: None) -> None:
    study, ended = SumStudy(tmp_path, (20, 21, 13)), []
    crew = Crew(study)
    with pytest.raises(ValueError, match="no run 13"):
        crew.do("nodes", study.runs_of("nodes"), lambda run, _seconds: ended.append(run))
    crew.close()
    assert all(study.files.done(run) for run in ended)


def test_a_process_that_is_ended_from_outside_is_one_sentence(tmp_path: Path, nothing_left: None) -> None:
    study = SumStudy(tmp_path, (-1, 20))
    crew = Crew(study)
    with pytest.raises(WorkerLost, match="start it again with fewer workers, and it goes on"):
        crew.do("nodes", study.runs_of("nodes"), lambda *_: None)
    crew.close()
