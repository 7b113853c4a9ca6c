"""Case names that a file system, a spreadsheet or a console would interpret in an unintended way."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from REACTKDLib.__main__ import main
from REACTKDLib.commands.batch import RESULTS
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.summary import say_summary
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.reports.report import GradeReport
from support.case_files import SEGMENTATION, case_arguments

ODD = [
    "a\ud800b", "nul\0", "tab\tx", "line\nend", "esc\x1b[2J", "..", ".", ".hidden", "../up", "/abs", "C:\\x", "CON",
    "lpt1.txt", "Results.CSV", "x" * 300, "王" * 90, "turn\u202eed", "end.", "a\x85b", "\ufffd",
]  # fmt: skip
FORMULAS = ["=1+1", "+cmd", "-2+3", "@sum", "'=1", "-7"]


def batch(folder: Path, entries: list[dict], bundle: Path, output: Path) -> int:
    (folder / "list.json").write_text(json.dumps({"training": entries}))
    return main(["batch", "--worklist", str(folder / "list.json"), "--output", str(output), "--bundle", str(bundle)])


def entry(case_folder: Path, name: str) -> dict:
    return {"id": name, "ct": f"{case_folder}/CT.nii.gz", "segmentation": f"{case_folder}/{SEGMENTATION}"}


def test_an_invalid_case_name_fails_that_case_only(case_folder, bundle_folder, tmp_path, capsys):
    entries = [entry(case_folder, name) for name in [*ODD, "good", "Müller 王"]]
    assert batch(tmp_path, entries, bundle_folder, tmp_path / "out") == SOME_FAILED
    rows = read_table(tmp_path / "out" / RESULTS, "the table", ("case", "status")).rows
    assert [row["status"] for row in rows] == ["failed"] * len(ODD) + ["graded"] * 2
    assert {row["error"] for row in rows[: len(ODD)]} == {"usage"}
    assert all(len(row["reason"]) < 200 and row["reason"].isprintable() for row in rows)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(["good", "Müller 王", RESULTS])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["list.json", "out"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("pair", [("a", "A"), ("a", "a "), ("é", "e\u0301"), ("a", "a."), ("a", "a\u200b")])
def test_two_cases_never_share_a_folder(case_folder, bundle_folder, tmp_path, capsys, pair):
    assert batch(tmp_path, [entry(case_folder, name) for name in pair], bundle_folder, tmp_path / "out") == 2
    assert "more than once" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_whose_name_is_not_text_fails_that_case_only(case_folder, bundle_folder, tmp_path):
    try:
        shutil.copytree(case_folder, tmp_path / "in" / os.fsdecode(b"M\xfcller"))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    shutil.copytree(case_folder, tmp_path / "in" / "good")
    arguments = ["--worklist", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--bundle", str(bundle_folder)]
    assert main(["batch", *arguments]) == SOME_FAILED
    rows = read_table(tmp_path / "out" / RESULTS, "the table", ("case",)).rows
    assert [(row["case"], row["status"]) for row in rows] == [("M\\udcfcller", "failed"), ("good", "graded")]


def test_the_table_contains_no_formulas_and_keeps_the_ids(case_folder, bundle_folder, tmp_path):
    entries = [entry(case_folder, name) for name in FORMULAS] + [{**entry(case_folder, "gone"), "ct": "=gone"}]
    assert batch(tmp_path, entries, bundle_folder, tmp_path / "out") == SOME_FAILED
    with open(tmp_path / "out" / RESULTS, encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+@\t\r") or (cell[:1] == "-" and cell != "-7")]
    rows = read_table(tmp_path / "out" / RESULTS, "the table", ("case",)).rows
    assert [row["case"] for row in rows] == [*FORMULAS, "gone"]
    assert json.loads((tmp_path / "out" / "=1+1" / "report.json").read_text(encoding="utf-8"))["case"] == "=1+1"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_check_writes_complete_json_in_any_console_encoding(run_command, case_folder, encoding):
    done = run_command("check", *case_arguments(case_folder), "--case", "王 Müller", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii() and json.loads(done.stdout)["case"] == "王 Müller"


class WindowsTerminal:
    """A terminal with code page 1252 that raises encoding errors, as Python's streams do."""

    encoding = "cp1252"

    def __init__(self) -> None:
        self.data = b""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.data += text.encode("cp1252")

    def flush(self) -> None:
        pass


def test_names_print_on_a_windows_terminal(case_folder, bundle_folder, tmp_path):
    arguments = [*case_arguments(case_folder), "--output", str(tmp_path / "o"), "--bundle", str(bundle_folder)]
    assert main(["grade", *arguments]) == 0
    screen = WindowsTerminal()
    say_summary(GradeReport.read_json(tmp_path / "o" / "report.json"), Path("王/Müller"), stream=screen)
    assert b"\\u738b" in screen.data and "Müller".encode("cp1252") in screen.data
    with Progress(screen) as progress:
        progress.prefix = "王: "
        progress(1.0, "reading 王")
        progress.say("王")
    assert screen.data.count(b"\\u738b") == 4
