"""A batch in several processes, in shards, and on a Dask cluster that loses a worker gives the table of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from REACTKDLib.__main__ import FAILED, main
from REACTKDLib.core.cases.case_list import RESULTS
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.writing.run_lock import running_alone
from support.case_files import NAMES, SEGMENTATION, write_case
from support.dask_cluster import dask_cluster
from support.result_rows import rows_of
from support.small_cases import small_case


@pytest.fixture(scope="module")
def worklist(tmp_path_factory) -> Path:
    """Twelve cases of one file each; the fifth names a missing file."""
    root = tmp_path_factory.mktemp("cases")
    write_case(small_case(modalities=[Modality.CT]), root / "files")
    lines = [f"case {n:02},files/{NAMES[Modality.CT]},files/{SEGMENTATION}" for n in range(12)]
    lines[5] = "case 05,files/none.nii.gz,files/none.nii.gz"
    (root / "list.csv").write_text("case,ct,segmentation\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return root / "list.csv"


@pytest.fixture(scope="module")
def batch(worklist, bundle_folder):
    def run(output: Path, *more: str) -> int:
        return main(
            ["batch", "--worklist", str(worklist), "--output", str(output), "--bundle", str(bundle_folder), *more]
        )

    return run


@pytest.fixture(scope="module")
def one_by_one(batch, tmp_path_factory) -> bytes:
    output = tmp_path_factory.mktemp("one")
    assert batch(output) == SOME_FAILED
    return (output / RESULTS).read_bytes()


def test_two_processes_write_the_table_of_one_process(batch, one_by_one, tmp_path):
    assert batch(tmp_path, "--jobs", "2") == SOME_FAILED
    assert (tmp_path / RESULTS).read_bytes() == one_by_one
    assert (tmp_path / "case 11" / "report.json").is_file() and not list(tmp_path.rglob(".*"))


def test_shards_in_any_order_merge_into_the_table_of_one_process(batch, one_by_one, tmp_path, capsys):
    for part in ("3/3", "1/3", "2/3"):
        assert batch(tmp_path, "--shard", part) == (SOME_FAILED if part == "3/3" else 0)  # which has the case 05
    assert (tmp_path / RESULTS).read_bytes() == one_by_one
    assert not list(tmp_path.rglob(".*"))
    assert batch(tmp_path, "--shard", "13/20") == FAILED
    assert capsys.readouterr().err == "The worklist has 12 cases, so part 13 of 20 is empty.\n"


def test_a_shard_is_refused_while_the_whole_batch_or_the_same_shard_runs(batch, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("REACTKDLib.commands.result_table._START_S", 0.05)
    for name in (RESULTS, ".results.1-of-2.csv"):
        with running_alone(tmp_path / name, "a batch"):
            assert batch(tmp_path, "--shard", "1/2") == FAILED
            assert capsys.readouterr().err.startswith("A batch runs in the output folder already (process ")
    assert not (tmp_path / RESULTS).exists()


def test_impossible_shard_or_process_numbers_are_refused_in_one_sentence(batch, tmp_path, capsys):
    for more, words in ((["--jobs", "0"], "at least 1"), (["--shard", "3/2"], "write I/N with I from 1 to N")):
        assert batch(tmp_path, *more) == FAILED
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


@pytest.fixture
def cluster(tmp_path):
    with dask_cluster(tmp_path) as found:
        yield found


@pytest.mark.slow  # five processes load PyTorch or Dask
def test_a_cluster_that_loses_a_worker_writes_the_table_of_one_process(batch, one_by_one, cluster, tmp_path):
    pytest.importorskip("distributed")
    from distributed import Client

    address, workers = cluster
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    output = tmp_path / "out"
    output.mkdir()
    killer = subprocess.Popen(
        [sys.executable, "-c", KILL_AFTER_THE_FIRST, str(output / RESULTS), str(workers[0].pid)], env=os.environ
    )
    try:
        assert batch(output, "--dask", address) == SOME_FAILED
    finally:
        killer.kill()
        killer.wait()
    assert not psutil.pid_exists(workers[0].pid) or workers[0].poll() is not None, "the worker was not killed in time"
    assert (output / RESULTS).read_bytes() == one_by_one
    assert list(rows_of(output).values())[5]["error"] == "file-missing"


KILL_AFTER_THE_FIRST = """
import os, signal, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.kill(int(sys.argv[2]), signal.SIGKILL)
"""
