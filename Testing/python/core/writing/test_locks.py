"""Locks by the operating system: never two holders, none held by dead processes, and a second run names the first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from REACTKDLib.core.errors import FolderInUse, OutputNotWritable
from REACTKDLib.core.writing.file_lock import Locked, lock_of, locked
from REACTKDLib.core.writing.run_lock import running_alone
from support.killed import PATH
from support.read_only import read_only

#: increments a counter; two holders at once would lose an increment or find the other's mark
ROUNDS = """
import os, sys, time
from pathlib import Path
if sys.argv[3] == "plain":
    sys.modules["filelock"] = None
from REACTKDLib.core.writing.file_lock import locked
target, mark, done = Path(sys.argv[1]), Path(sys.argv[1]).with_name("mark"), 0
while done < int(sys.argv[2]):
    with locked(target, 30.0):
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        count = int(target.read_text())
        time.sleep(0.0003)
        target.write_text(str(count + 1))
        mark.unlink()
        done += 1
"""
RUN = """
import sys
from pathlib import Path
from REACTKDLib.core.writing.run_lock import running_alone
with running_alone(Path(sys.argv[1]), "a batch"):
    print("runs", flush=True)
    sys.stdin.read()
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": PATH},
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("package", ["filelock", "none"])
def test_a_link_in_place_of_a_lock_creates_and_changes_nothing_elsewhere(tmp_path, monkeypatch, package):
    """Everybody who writes to a shared folder could plant one."""
    if package == "none":
        monkeypatch.setitem(sys.modules, "filelock", None)
    (tmp_path / "precious").write_text("kept")
    for name in ("precious", "new"):
        lock_of(tmp_path / f"{name}.json").symlink_to(tmp_path / name)
        with pytest.raises(OSError), locked(tmp_path / f"{name}.json"):
            pass
    assert (tmp_path / "precious").read_text() == "kept" and not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("theirs", ["filelock", "none"])
@pytest.mark.parametrize("package", ["filelock", "none"])
def test_a_lock_that_a_killed_process_of_a_colleague_left_can_be_taken(monkeypatch, package, theirs):
    shared = Path(tempfile.mkdtemp(dir="/var/tmp"))  # whose parents everybody may enter
    lock = lock_of(shared / "results.csv")
    try:
        shared.chmod(0o777)
        with monkeypatch.context() as changed:
            if theirs == "none":
                changed.setitem(sys.modules, "filelock", None)
            before = os.umask(0o077)
            try:
                with locked(shared / "results.csv"):
                    os.link(lock, shared / "left")
            finally:
                os.umask(before)
        os.rename(shared / "left", lock)  # as if the process had not removed it
        if package == "none":
            monkeypatch.setitem(sys.modules, "filelock", None)
        os.seteuid(12345)
        try:
            with locked(shared / "results.csv"):
                pass
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(shared)


def test_two_processes_never_hold_the_same_lock(tmp_path):
    """Processes with and without the filelock package exclude each other; none of 400 increments is lost."""
    target = tmp_path / "review.json"
    target.write_text("0")
    programs = [start(ROUNDS, target, 100, kind) for kind in ("filelock", "plain", "filelock", "plain")]
    for program in programs:
        _, errors = program.communicate(timeout=60)
        assert program.returncode == 0, errors
    assert target.read_text() == "400"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("package", [True, False], ids=["with filelock", "without"])
def test_threads_of_one_process_never_hold_the_same_lock(tmp_path, monkeypatch, package):
    if not package:
        monkeypatch.setitem(sys.modules, "filelock", None)
    target, seen = tmp_path / "x", []

    def other() -> None:
        try:
            with locked(target):
                seen.append("held")
        except Locked:
            seen.append("refused")

    with locked(target):
        with pytest.raises(Locked), locked(target):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert seen == ["refused", "held"]


@pytest.mark.parametrize("package", [True, False], ids=["with filelock", "without"])
def test_a_lock_in_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, package):
    if not package:
        monkeypatch.setitem(sys.modules, "filelock", None)
    with read_only(tmp_path), pytest.raises(OSError), locked(tmp_path / "x"):
        pass


def test_a_second_run_names_the_process_of_the_first(tmp_path):
    table = tmp_path / "out" / "results.csv"
    first = start(RUN, table)
    assert first.stdout.readline().strip() == "runs"
    with pytest.raises(FolderInUse) as caught, running_alone(table, "a batch"):
        pass
    assert str(caught.value).startswith("A batch runs in the output folder already (process ")
    assert f"(process {first.pid} on " in str(caught.value) and "0 minutes" in str(caught.value)
    first.communicate("")
    assert list(table.parent.parent.iterdir()) == [], "a run that wrote nothing leaves nothing"


def test_a_killed_run_leaves_no_lock(tmp_path):
    table = tmp_path / "out" / "results.csv"
    first = start(RUN, table)
    assert first.stdout.readline().strip() == "runs"
    first.kill()
    first.communicate()
    assert lock_of(table).exists()
    with running_alone(table, "a batch"):
        told = json.loads(table.with_name(".results.csv.owner").read_text())
        assert told["process"] == os.getpid()
        table.write_text("whole")
    assert [path.name for path in table.parent.iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    ("ago", "words"), [(30, "0 minutes"), (61, "1 minute"), (119 * 60, "119 minutes"), (7300, "2 hours"),
                       (50 * 3600, "2 days")]
)  # fmt: skip
def test_the_age_of_a_lock_is_worded(tmp_path, ago, words):
    table = tmp_path / "results.csv"
    with running_alone(table, "a training"):
        owner = table.with_name(".results.csv.owner")
        owner.write_text(json.dumps({"process": 17, "host": "node1", "since": time.time() - ago}))
        with pytest.raises(FolderInUse, match=f"A training runs .*process 17 on node1, for {words}\\)"):
            with running_alone(table, "a training"):
                pass
        owner.write_text("half {")
        with pytest.raises(FolderInUse, match="has just begun"), running_alone(table, "a training"):
            pass


def test_an_output_that_cannot_be_written(tmp_path):
    with read_only(tmp_path), pytest.raises(OutputNotWritable), running_alone(tmp_path / "out" / "x", "a batch"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable), running_alone(Path(tmp_path / "file" / "x"), "a batch"):
        pass
