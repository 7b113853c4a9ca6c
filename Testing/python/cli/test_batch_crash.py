"""A batch continues after a case that crashes its process, and stops on a signal; in real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from REACTKDLib.commands.batch import RESULTS
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.modality import Modality
from support.case_files import NAMES, write_case
from support.result_rows import rows_of
from support.small_cases import small_case

REPOSITORY = Path(__file__).resolve().parents[3]
# Python runs this file at startup: it crashes the process at certain cases, as a fault in a library would.
CRASHING = """
import os, sys, time
from importlib.abc import MetaPathFinder
import importlib.util

class After(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "REACTKDLib.core.cases.open_job":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            read = module.open_job
            def open_job(job, *arguments, **more):
                kind = os.environ["CRASH"].split(";")
                if job.case in kind[0].split(","):
                    os.kill(os.getpid(), int(kind[1]))
                if job.case == os.environ.get("SLOW"):
                    open(os.environ["REACHED"], "w").close()
                    time.sleep(60)
                return read(job, *arguments, **more)
            module.open_job = open_job
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, After())
"""
# As where /dev/shm cannot be written, in some containers: the system refuses every semaphore.
NO_SEMAPHORES = """
import _multiprocessing

class Refused:
    SEM_VALUE_MAX = _multiprocessing.SemLock.SEM_VALUE_MAX

    def __init__(self, *arguments, **more):
        raise PermissionError(13, "Permission denied")

_multiprocessing.SemLock = Refused
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Four cases with CT only."""
    root = tmp_path_factory.mktemp("cohort")
    for name in "ABCD":
        write_case(small_case(modalities=[Modality.CT]), root / name)
    return root


@pytest.fixture
def start(tmp_path, bundle_folder):
    """Start a batch in which some cases crash their process; a process still running at the end is killed."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(CRASHING)
    (tmp_path / "temporary").mkdir()
    started = []

    def run(worklist: Path, crash: str, number: int = signal.SIGSEGV, **more: str) -> subprocess.Popen:
        paths = os.pathsep.join([str(tmp_path / "hooks"), str(REPOSITORY / "REACTKD")])
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CRASH": f"{crash};{int(number)}"}
        environment |= {"TMPDIR": str(tmp_path / "temporary"), **more}
        arguments = ["--worklist", worklist, "--output", tmp_path / "out", "--bundle", bundle_folder]
        command = [sys.executable, "-m", "REACTKDLib", "batch", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_where_no_process_can_be_started_the_cases_are_graded_in_this_one(cohort, start, tmp_path):
    with (tmp_path / "hooks" / "sitecustomize.py").open("a") as hooks:
        hooks.write(NO_SEMAPHORES)
    out, err = start(cohort, "none").communicate(timeout=120)
    assert out == "4 of 4 cases graded; see results.csv in the output folder.\n", err
    assert {row["status"] for row in rows_of(tmp_path / "out").values()} == {"graded"}


def test_cases_after_a_crash_are_graded(cohort, start, tmp_path):
    """The first and the last case crash their process; a header that used to crash it gives an ordinary failed row."""
    shutil.copytree(cohort, tmp_path / "in")
    (tmp_path / "in" / "B" / NAMES[Modality.CT]).unlink()
    (tmp_path / "in" / "B" / "CT.mha").write_text("ObjectType = Image\nNDims = -1\nElementDataFile = LOCAL\n")
    process = start(tmp_path / "in", "A,D")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (
        SOME_FAILED,
        "1 of 4 cases graded, 3 failed; see results.csv in the output folder.\n",
        "",
    )
    rows = rows_of(tmp_path / "out")
    assert [(name, row["status"], row["error"]) for name, row in rows.items()] == [
        ("A", "failed", "case-crashed"),
        ("B", "failed", "not-an-image"),
        ("C", "graded", ""),
        ("D", "failed", "case-crashed"),
    ]
    assert rows["A"]["reason"].startswith("The process ended while it worked on this case")
    assert "header of the CT cannot be read" in rows["B"]["reason"]
    assert rows["C"]["lesions"] == "2" and rows["C"]["grade"] in ("well", "moderate", "poor")
    assert (tmp_path / "out" / "C" / "report.json").is_file()
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow  # the row is covered by the test above, the sentence by any batch without a grade
def test_a_batch_whose_every_case_crashes_says_so(cohort, start, tmp_path):
    shutil.copytree(cohort / "A", tmp_path / "one" / "A")
    process = start(tmp_path / "one", "A", signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "") and err.startswith("The case could not be graded")
    assert rows_of(tmp_path / "out")["A"]["error"] == "case-crashed"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
    ids=lambda number: number.name,
)
def test_a_stop_ends_the_process_that_grades_too(cohort, start, tmp_path, number):
    process = start(cohort, "", SLOW="B", REACHED=str(tmp_path / "reached"))
    deadline = time.monotonic() + 60
    while not ((tmp_path / "reached").exists() and (tmp_path / "out" / RESULTS).exists()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGINT:  # a terminal signals the whole process group
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it may just have ended
                child.send_signal(number)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 2, signal.SIGKILL: -9}[number]
    assert psutil.wait_procs(children, timeout=120)[1] == []
    assert list(rows_of(tmp_path / "out")) == ["A"]
    assert not list((tmp_path / "out").rglob(".reactkd-*")) and list((tmp_path / "temporary").iterdir()) == []
