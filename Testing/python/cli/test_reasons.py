"""The reasons in tables of results, which hospitals pass on: they hold no folder, whose name may be a patient's."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from REACTKDLib.__main__ import FAILED, main
from REACTKDLib.commands.batch import RESULTS
from REACTKDLib.commands.batch_case import BatchCase, CaseGrader
from REACTKDLib.commands.bundle_run import PREDICTIONS, DatalistEvaluator
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.errors import OutputNotWritable, ReactkdError
from REACTKDLib.core.grading.grader import Grader
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.text import Text, without_folders
from REACTKDLib.core.text import tr as _
from support.case_files import write_case
from support.result_rows import rows_of
from support.small_cases import small_case

CANARY = "MILLER_JOHN"
ROOM = 2048  # bytes of the largest file: the table fits, a report does not


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / CANARY
    write_case(small_case(), folder / "cases" / "A")
    return folder


@contextmanager
def little_room() -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    compiles_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it would be cut too, and stay
    try:
        yield
    finally:
        sys.dont_write_bytecode = compiles_nothing
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_results_name_a_file_from_their_folder(folder: Path, bundle_folder: Path) -> None:
    arguments = ["batch", "--worklist", folder / "cases", "--output", folder / "out", "--bundle", bundle_folder]
    with little_room():
        assert main([str(argument) for argument in arguments]) == FAILED
    row = rows_of(folder / "out")["A"]
    assert row["error"] == "output-not-writable" and row["reason"].startswith("The output A/report.json cannot be")
    assert CANARY not in (folder / "out" / RESULTS).read_text(encoding="utf-8")


def test_the_log_is_named_without_its_folder(folder: Path, bundle_folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("REACTKD_LOG_DIR", str(folder / "logs"))
    grader = CaseGrader([bundle_folder], "cpu", folder / "out")
    job = read_worklist(folder / "cases")[0]
    faulty = replace(job, images=None)  # no list gives this: an unexpected fault
    row = grader(BatchCase(faulty))
    assert row["error"] == "unexpected" and "its details are in reactkd.log" in row["reason"]
    assert CANARY not in row["reason"]


def test_predictions_name_a_file_from_their_folder(folder: Path, bundle_folder: Path) -> None:
    class Dataset:
        data = read_worklist(folder / "cases")

        def __getitem__(self, index: int):
            return small_case()

    evaluator = DatalistEvaluator(Dataset(), Grader(Bundle.load(bundle_folder), "cpu"), folder / "out")
    with little_room(), pytest.raises(ReactkdError):
        evaluator.run()
    row = rows_of(folder / "out", PREDICTIONS)["A"]
    assert row["reason"].startswith("The output A/report.json cannot be") and CANARY not in row["reason"]


def test_folders_are_left_out_of_every_value_of_a_text() -> None:
    base = Path("/data/out")
    text = _("{target} and {other} of {case}: {why}").format(
        target=base / "A" / "a.json", other=Path("/ct/MILLER/b.csv"), case="a/b", why=_("at {here}").format(here=base)
    )
    short = without_folders(text, base)
    assert short == "A/a.json and b.csv of a/b: at out"
    assert isinstance(short, Text) and short.template == text.template  # the panel can translate it
    assert without_folders(OutputNotWritable("plain").message, base) == "plain"
