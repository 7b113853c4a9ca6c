"""The log: its location, that it contains no patient data, and that logging never causes an error."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from REACTKDLib.core import log
from REACTKDLib.core.errors import NotAnImage
from REACTKDLib.core.plain_traceback import plain_traceback, without_data

CANARY = "Doe^Canary"
PARTS = ("", "pictures", CANARY, "CT 1.nii.gz")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("REACTKD_LOG_DIR", str(tmp_path / "logs"))
    return tmp_path / "logs"


def fault(work) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def opens(*parts: str) -> None:
    open("/".join(parts)).close()


@pytest.mark.parametrize(
    ("platform", "environment", "place"),
    [
        ("linux", {"XDG_STATE_HOME": "/var/state"}, Path("/var/state/REACTKD")),
        ("linux", {"XDG_STATE_HOME": "relative"}, Path("/house/x/.local/state/REACTKD")),
        ("linux", {}, Path("/house/x/.local/state/REACTKD")),
        ("darwin", {}, Path("/house/x/Library/Logs/REACTKD")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/REACTKD/Logs")),
        ("win32", {"REACTKD_LOG_DIR": "/own"}, Path("/own")),
    ],
)
def test_the_log_is_in_the_folder_of_the_system(monkeypatch, platform, environment, place) -> None:
    for name in ("REACTKD_LOG_DIR", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/house/x", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(log.sys, "platform", platform)
    assert log.log_folder() == place


def test_the_log_has_the_traceback_and_no_data(folder) -> None:
    where = log.log_unforeseen(fault(lambda: opens(*PARTS)), "a test")
    text = (folder / "reactkd.log").read_text(encoding="utf-8")
    assert where == f"its details are in {folder / 'reactkd.log'}"
    assert "FileNotFoundError" in text and "in opens" in text and "No such file" in text
    assert (
        "core/test_log.py" in text and str(Path.cwd()) not in text and not any(p in text for p in (CANARY, "pictures"))
    )


def test_each_program_has_its_own_file(folder) -> None:
    error = fault(lambda: 1 / 0)
    for program in (log.MAIN, log.WORKER, log.TRAINING):
        log.log_unforeseen(error, "a test", program)
    assert {p.name for p in folder.iterdir()} == {"reactkd.log", "worker.log", "training.log"}


def test_the_cause_of_a_reported_fault_is_logged_and_a_fault_without_cause_is_not(folder) -> None:
    def refused() -> None:
        try:
            opens(*PARTS)
        except OSError as error:
            raise NotAnImage("The CT cannot be read.") from error

    log.log_cause(NotAnImage("The CT cannot be read."), "a test")
    assert not folder.exists()
    log.log_cause(fault(refused), "a test")
    text = (folder / "reactkd.log").read_text(encoding="utf-8")
    assert text.index("FileNotFoundError") < text.index("which led to") < text.index("NotAnImage")


def test_the_log_has_a_maximum_size(folder, monkeypatch) -> None:
    monkeypatch.setattr(log, "LARGEST_BYTES", 2000)
    for _ in range(60):
        log.log_unforeseen(fault(lambda: 1 / 0), "a test")
    files = sorted(folder.iterdir())
    assert len(files) == 1 + log.KEPT and all(f.stat().st_size <= 2000 for f in files)


def test_a_log_that_cannot_be_written_prints_nothing(tmp_path, monkeypatch, capfd) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "below", Path("/dev/full/x"), tmp_path / ("n" * 300)):
        monkeypatch.setenv("REACTKD_LOG_DIR", str(place))
        assert "REACTKD_DEBUG=1" in log.log_unforeseen(fault(lambda: 1 / 0), "a test")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_raises_nothing(folder, capfd) -> None:
    folder.mkdir()
    (folder / "reactkd.log").symlink_to("/dev/full")
    assert "REACTKD_DEBUG=1" in log.log_unforeseen(fault(lambda: 1 / 0), "a test")
    assert capfd.readouterr() == ("", "")


def test_importing_and_logging_leave_the_applications_log_unchanged(folder, caplog) -> None:
    code = "import logging as l, REACTKDLib.core.log; print(l.getLogger().handlers, l.getLogger('REACTKD').handlers)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[] []" and not folder.exists()
    before = list(logging.getLogger().handlers)
    log.log_unforeseen(fault(lambda: 1 / 0), "a test")
    assert logging.getLogger().handlers == before and caplog.records == []


def test_debugging_prints_the_traceback_as_it_is(folder, monkeypatch, capfd) -> None:
    monkeypatch.setenv("REACTKD_DEBUG", "1")
    log.log_unforeseen(fault(lambda: opens(*PARTS)), "a test")
    assert CANARY in capfd.readouterr().err


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=3, max_size=30).filter(lambda t: t.strip() and "'" not in t and "\\" not in t))
def test_no_text_of_a_variable_is_logged(name: str) -> None:
    patient = f"P{name}Q"

    class Node:
        pass

    def fails(node: Node, rows: list[dict[str, str]]) -> None:
        raise ValueError(f"node {node.name} is not in {rows!r} of '{node.name}'")

    node = Node()
    node.name = patient
    text = plain_traceback(fault(lambda: fails(node, [{"case": patient}])))
    assert patient not in text and repr(patient) not in text and "ValueError: node" in text


@pytest.mark.parametrize(
    "message",
    [
        "[Errno 2] No such file or directory: '/data/Doe^Canary 1/CT.nii.gz'",
        "cannot open /data/Doe^Canary/CT.nii.gz",
        r"C:\data\Doe^Canary\CT.nii: refused",
        "could not convert string to float: 'Doe^Canary'",
        'invalid literal "Doe^Canary"',
        "file:///data/Doe^Canary/x",
    ],
)
def test_paths_and_quotes_go_also_when_no_variable_holds_them(message: str) -> None:
    assert "Canary" not in without_data(message)


def test_text_of_the_program_is_logged() -> None:
    error = fault(lambda: {"spacing": 1}["weights"])
    assert plain_traceback(error).endswith("KeyError: 'weights'")
