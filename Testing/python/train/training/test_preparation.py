"""Preparing the cases of a run: unreadable cases are reported one by one, and the rest is prepared."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from REACTKDLib.core.errors import FileMissing, OutputNotWritable
from REACTKDLib.core.job_engines import Engine
from REACTKDTrainLib.cohorts.sizes import preparation_of
from REACTKDTrainLib.data.store import PreparedStore
from REACTKDTrainLib.training.preparation import prepare_cases, prepare_one
from support.killed import fill, small_disk
from support.tiny_phantoms import tiny_cases


def fails_for_the_second(case) -> None:
    if case.id == tiny_cases(3)[1].id:
        raise FileMissing("It is not there.")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_failing_cases_are_reported_one_by_one_and_the_rest_is_prepared(workers: int) -> None:
    done = []
    cases = tiny_cases(3)
    failed = prepare_cases(cases, fails_for_the_second, Engine(workers), on_progress=lambda *told: done.append(told))
    assert failed == {cases[1].id: "It is not there."}
    assert done == [(1 / 3, "1 of 3"), (2 / 3, "2 of 3"), (1, "3 of 3")]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_full_disk_ends_the_run_and_is_no_fault_of_a_case(workers: int, tmp_path: Path) -> None:
    cases = tiny_cases(3)
    with small_disk(tmp_path / "disk") as disk:
        store = PreparedStore(disk / "prepared", preparation_of("tiny"))
        fill(disk, left=8192)
        with pytest.raises(OutputNotWritable, match="make room on the disk"):
            prepare_cases(cases, partial(prepare_one, None, store), Engine(workers))
        (disk / "filler").unlink()
        assert prepare_cases(cases, partial(prepare_one, None, store), Engine(workers)) == {}
