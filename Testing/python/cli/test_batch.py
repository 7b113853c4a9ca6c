"""`batch`: one row for every case, whether it succeeds or fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from REACTKDLib.__main__ import FAILED, main
from REACTKDLib.commands import progress
from REACTKDLib.commands.batch import RESULTS
from REACTKDLib.commands.summary import none_graded
from REACTKDLib.core.cases.worklist import read_worklist
from REACTKDLib.core.console import INTERRUPTED, SOME_FAILED
from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.writing.run_lock import running_alone
from support.case_files import NAMES, SEGMENTATION, write_case
from support.result_rows import rows_of
from support.small_cases import TWO_LESIONS, small_case


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Three case folders: all inputs; CT only, without lesions; a CT that is not an image."""
    root = tmp_path_factory.mktemp("cohort")
    write_case(small_case(), root / "A 1")
    write_case(small_case(lesions=(), modalities=[Modality.CT]), root / "B")
    write_case(small_case(), root / "C")
    (root / "C" / NAMES[Modality.CT]).write_text("no image")
    return root


def run(worklist: Path, output: Path, bundle: Path, *more: str) -> int:
    return main(["batch", "--worklist", str(worklist), "--output", str(output), "--bundle", str(bundle), *more])


def test_a_folder_of_cases_is_graded_case_by_case(cohort, bundle_folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    rows = rows_of(output)
    assert list(rows) == ["A 1", "B", "C"]
    good, empty, bad = rows.values()
    assert good["status"] == "graded" and good["grade"] in ("well", "moderate", "poor")
    assert good["inputs"] == "ct+fdg+acetate" and good["lesions"] == "2"
    assert sum(float(good[f"p_{name}"]) for name in ("well", "moderate", "poor")) == pytest.approx(1, abs=1e-3)
    assert empty["status"] == "no grade" and empty["grade"] == "" and "no-lesion" in empty["findings"]
    assert bad["status"] == "failed" and bad["error"] == "not-an-image"
    assert bad["reason"].startswith("The file of the CT is not an image")
    assert sorted(path.name for path in output.iterdir()) == ["A 1", "B", RESULTS]
    assert (output / "A 1" / "report.json").is_file()
    assert capsys.readouterr().err == ""


def test_a_long_batch_writes_lines_into_a_file(cohort, bundle_folder, tmp_path, capsys, monkeypatch):
    """A job's log was silent until the last case: a batch of hours could not be told from one that hangs."""
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    assert run(cohort, tmp_path / "out", bundle_folder) == SOME_FAILED
    lines = capsys.readouterr().err.splitlines()
    assert "\r" not in "".join(lines) and lines[0].endswith("opening the model")
    assert [line.split("%")[1].split(",")[0].strip() for line in lines if " of 3" in line][-1] == "3 of 3", lines


def test_one_case_writes_no_progress_into_a_file(cohort, bundle_folder, tmp_path, capsys, monkeypatch):
    """However long it takes: the errors of a program that calls `grade` are its only lines."""
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    folder = cohort / "A 1"
    images = ["--ct", str(folder / NAMES[Modality.CT]), "--segmentation", str(folder / SEGMENTATION)]
    assert main(["grade", *images, "--bundle", str(bundle_folder), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("cases", "status"), [("AB", 0), ("ABC", SOME_FAILED), ("C", FAILED)])
def test_the_exit_status_says_whether_all_some_or_none_succeeded(
    cohort, bundle_folder, tmp_path, run_command, call_command, cases, status
):
    """It was 0 although cases had failed: a Makefile took the list for done, a job array counted the part as good.

    One of the three is the status of a real process.
    """
    command = run_command if status == SOME_FAILED else call_command
    for folder in cohort.iterdir():
        if folder.name[0] in cases:
            shutil.copytree(folder, tmp_path / "in" / folder.name)
    arguments = ["--worklist", tmp_path / "in", "--bundle", bundle_folder, "--output", tmp_path / "out"]
    done = command("batch", *arguments)
    assert done.returncode == status, "a case without lesions has no grade, which is no failure"
    failed = [row["case"] for row in rows_of(tmp_path / "out").values() if row["status"] == "failed"]
    assert failed == [name for name in "C" if name in cases]
    assert ("1 failed" in done.stdout) == (status == SOME_FAILED) and (done.stderr != "") == (status == FAILED)


def test_csv_with_relative_paths_and_names(cohort, bundle_folder, tmp_path):
    listed = tmp_path / "list"
    shutil.copytree(cohort, listed / "data")
    lines = [
        "case;ct;fdg;segmentation;liver;tumor",
        f"one;data/A 1/{NAMES[Modality.CT]};;data/A 1/{SEGMENTATION};Liver;Tumor",
        f"two;data/A 1/{NAMES[Modality.CT]};data/A 1/{NAMES[Modality.FDG]};data/A 1/{SEGMENTATION};;Nothing",
        f"three;;data/A 1/{NAMES[Modality.FDG]};;;",
        "",
    ]
    (listed / "work.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    assert run(listed / "work.csv", tmp_path / "out", bundle_folder) == SOME_FAILED
    rows = rows_of(tmp_path / "out")
    assert [(name, row["status"], row["error"]) for name, row in rows.items()] == [
        ("one", "graded", ""),
        ("two", "failed", "label-missing"),
        ("three", "failed", "empty-segmentation"),
    ]
    assert rows["one"]["inputs"] == "ct"
    assert str(tmp_path) not in (tmp_path / "out" / RESULTS).read_text(encoding="utf-8")


def test_nothing_could_be_graded(cohort, bundle_folder, tmp_path, capsys):
    shutil.copytree(cohort / "C", tmp_path / "in" / "C")
    assert run(tmp_path / "in", tmp_path / "out", bundle_folder) == FAILED
    assert rows_of(tmp_path / "out")["C"]["status"] == "failed"
    assert capsys.readouterr().err == f"The case could not be graded; {RESULTS} says why.\n"


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (1, "The case could not be graded; a.csv says why."),
        (2, "None of the 2 cases could be graded; a.csv says why for each."),
    ],
)
def test_one_case_is_not_counted(cases: int, said: str) -> None:
    """It said "None of the 1 case"."""
    assert none_graded(cases, "a.csv") == said


def test_an_unexpected_exception_fails_one_case_only(cohort, bundle_folder, tmp_path, monkeypatch):
    import REACTKDLib.core.cases.open_job as module

    real = module.open_job

    def sometimes(job, case_id, task):
        if case_id == "A 1":
            raise ZeroDivisionError
        return real(job, case_id, task=task)

    monkeypatch.setattr(module, "open_job", sometimes)
    assert run(cohort, tmp_path / "out", bundle_folder) == SOME_FAILED
    rows = rows_of(tmp_path / "out")
    assert rows["A 1"]["error"] == "unexpected" and "ZeroDivisionError" in rows["A 1"]["reason"]
    assert rows["B"]["status"] == "no grade"


def graded_now(worklist: Path, output: Path, bundle: Path, *more: str) -> set[str]:
    """Run the batch, and return the cases whose results it wrote."""
    before = {path.parent.name: path.stat().st_ino for path in output.glob("*/report.json")}
    failed = run(worklist, output, bundle, *more)
    assert failed == (SOME_FAILED if any(row["status"] == "failed" for row in rows_of(output).values()) else 0)
    return {path.parent.name for path in output.glob("*/report.json") if path.stat().st_ino != before[path.parent.name]}


def test_a_restarted_batch_keeps_results_that_are_still_valid(cohort, bundle_folder, tmp_path, capsys):
    output, listed = tmp_path / "out", tmp_path / "listed"
    shutil.copytree(cohort, listed)
    assert run(listed, output, bundle_folder) == SOME_FAILED
    assert (
        capsys.readouterr().out
        == f"1 of 3 cases graded, 1 without a grade, 1 failed; see {RESULTS} in the output folder.\n"
    )
    table = (output / RESULTS).read_bytes()

    os.utime(listed / "A 1" / NAMES[Modality.CT])  # new modification time, same content
    assert graded_now(listed, output, bundle_folder) == set()
    kept = "0 of 3 cases graded, 2 kept from before (--again grades them too), 1 failed"
    assert capsys.readouterr().out.startswith(kept)
    assert (output / RESULTS).read_bytes() == table and not list(output.rglob(".*"))
    assert graded_now(listed, output, bundle_folder, "--again") == {"A 1", "B"}
    assert graded_now(listed, output, bundle_folder, "--shard", "1/2") == set()
    assert (output / RESULTS).read_bytes() == table

    (output / "B" / "regions.csv").unlink()
    assert graded_now(listed, output, bundle_folder) == {"B"}
    shutil.copy(cohort / "A 1" / NAMES[Modality.CT], listed / "C" / NAMES[Modality.CT])  # repaired
    assert run(listed, output, bundle_folder) == 0
    assert rows_of(output)["C"]["status"] == "graded"


def test_a_case_is_graded_again_when_anything_that_its_result_depends_on_has_changed(cohort, bundle_folder, tmp_path):
    listed, output = tmp_path / "listed", tmp_path / "out"
    shutil.copytree(cohort / "A 1", listed / "A 1")
    assert run(listed, output, bundle_folder) == 0
    for file in (NAMES[Modality.FDG], SEGMENTATION):
        case = small_case(lesions=TWO_LESIONS[:1]) if file == SEGMENTATION else small_case(seed=1)
        write_case(case, tmp_path / "other")
        shutil.copy(tmp_path / "other" / file, listed / "A 1" / file)
        assert graded_now(listed, output, bundle_folder) == {"A 1"}, file
        assert graded_now(listed, output, bundle_folder) == set()
    assert graded_now(listed, output, bundle_folder, "--keep-specks") == {"A 1"}
    model, other = Bundle.load(bundle_folder), tmp_path / "model"  # the same weights with another metadata rule
    rule = {"uncertain": {"margin_below": 0.9}}
    Bundle.save(other, model.student, model.metadata | {"reactkd": {**model.info, **rule}})
    found = rows_of(output)["A 1"]["fingerprint"]
    assert run(listed, output, other) == 0 and rows_of(output)["A 1"]["fingerprint"] != found
    report = json.loads((output / "A 1" / "report.json").read_text())  # a manual grading run into the folder
    (output / "A 1" / "report.json").write_text(json.dumps(report | {"inputs": ["ct"]}))
    assert graded_now(listed, output, other) == {"A 1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no case"),
        ("case,segmentation\n", "no case"),
        ("case,ct\na,b\n", "lacks the column 'segmentation';"),
        ("name,ct\na,b\n", "lacks the columns 'case', 'segmentation';"),
        ("case,segmentation,pet\na,b,c\n", "unknown columns 'pet'"),
        ("case,segmentation\na,b\nA,c\n", "names 'A', 'a' more than once"),
    ],
)
def test_a_worklist_with_wrong_columns_or_without_cases_is_refused(tmp_path, text, words):
    (tmp_path / "work.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        read_worklist(tmp_path / "work.csv")


def test_a_missing_or_binary_worklist_is_refused(tmp_path):
    with pytest.raises(FileMissing):
        read_worklist(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(UsageError, match="UTF-8"):
        read_worklist(tmp_path / "binary.csv")


def test_case_names_that_cannot_be_folders(cohort, bundle_folder, tmp_path):
    path = f"{cohort}/A 1/{NAMES[Modality.CT]},{cohort}/A 1/{SEGMENTATION}"
    (tmp_path / "work.csv").write_text(f"case,ct,segmentation\n../up,{path}\nok,{path}\n", encoding="utf-8")
    assert run(tmp_path / "work.csv", tmp_path / "out", bundle_folder) == SOME_FAILED
    rows = rows_of(tmp_path / "out")
    assert rows["../up"]["error"] == "usage"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "work.csv"]


def test_a_rerun_keeps_the_rows_of_the_previous_run(cohort, bundle_folder, tmp_path):
    """Another worklist into the same output folder: one table with every case, each row the newest for its case."""
    output = tmp_path / "out"
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    before = rows_of(output)
    path = f"{cohort}/B/{NAMES[Modality.CT]},{cohort}/B/{SEGMENTATION}"
    (tmp_path / "more.csv").write_text(f"case,ct,segmentation\nD,{path}\nC,{path}\n=E,{path}\n", encoding="utf-8")
    for _ in range(2):
        assert run(tmp_path / "more.csv", output, bundle_folder) == 0
        rows = rows_of(output)
        names = [name.lstrip("'") for name in rows]
        assert names == ["A 1", "B", "C", "D", "=E"]
        assert rows["A 1"] == before["A 1"] and rows["B"] == before["B"]
        assert rows["C"]["status"] == "no grade" and rows["C"]["error"] == ""
    assert before["C"]["status"] == "failed"


def test_rows_stay_until_they_are_replaced(cohort, bundle_folder, tmp_path, monkeypatch, capsys):
    from REACTKDLib.commands.batch_case import CaseGrader

    output = tmp_path / "out"
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    before = rows_of(output)

    real = CaseGrader.__call__

    def stopped(work, case):
        if case is None:
            return real(work, None)
        if case.job.case == "B":
            raise KeyboardInterrupt
        return {"case": case.job.case, "status": "failed", "error": "tried"}

    monkeypatch.setattr(CaseGrader, "__call__", stopped)
    capsys.readouterr()
    assert run(cohort, output, bundle_folder) == INTERRUPTED
    said = f"Stopped; the rows of 1 of 3 cases are in {RESULTS}, and the same command goes on from there.\n"
    assert capsys.readouterr() == ("", said)
    rows = rows_of(output)
    assert list(rows) == ["A 1", "B", "C"] and rows["A 1"]["error"] == "tried"
    assert rows["B"] == before["B"] and rows["C"] == before["C"]


def test_rows_of_a_model_with_other_classes_keep_their_columns(cohort, bundle_folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    text = "case,status,grade,p_benign,p_Well\nold,graded,benign,0.8,0.2\n"
    (output / RESULTS).write_text(text, encoding="utf-8")
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    rows = rows_of(output)
    assert (rows["old"]["p_benign"], rows["old"]["p_well"], rows["old"]["grade"]) == ("0.8", "0.2", "benign")
    assert rows["A 1"]["p_benign"] == "" and len(rows) == 4


def test_a_table_of_another_program_is_not_overwritten(cohort, bundle_folder, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / RESULTS).write_text("name,score\nx,1\n", encoding="utf-8")
    assert run(cohort, output, bundle_folder) == FAILED
    assert capsys.readouterr().err.startswith(f"The file {RESULTS} in the output folder is not the table of a batch")
    assert [path.name for path in output.iterdir()] == [RESULTS]
    assert (output / RESULTS).read_text(encoding="utf-8") == "name,score\nx,1\n"


def test_a_second_batch_on_the_same_folder_is_refused(cohort, bundle_folder, tmp_path, capsys):
    """The second one is refused, names the first and changes nothing; afterwards it succeeds."""
    output = tmp_path / "out"
    with running_alone(output / RESULTS, "a batch"):
        assert run(cohort, output, bundle_folder) == FAILED
        said = capsys.readouterr().err
        assert said.startswith("A batch runs in the output folder already (process ") and said.count("\n") == 1
        assert f"process {os.getpid()} on " in said
        assert not (output / RESULTS).exists()
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    assert len(rows_of(output)) == 3


def test_what_a_killed_batch_left_is_removed(cohort, bundle_folder, tmp_path):
    """In a separate process: a fork of this one would wait for threads that PyTorch has started here."""
    output = tmp_path / "out"
    code = (
        "import os, signal, sys\n"
        "import REACTKDLib.commands.batch_case as module\n"
        "from REACTKDLib.__main__ import main\n"
        "module.write_results = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ["batch", "--worklist", str(cohort), "--output", str(output), "--bundle", str(bundle_folder)]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=os.environ | {"PYTHONPATH": paths}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in output.iterdir() if path.name.startswith(".reactkd-")], (
        "the killed batch must leave a hidden file"
    )
    assert run(cohort, output, bundle_folder) == SOME_FAILED
    assert sorted(path.name for path in output.iterdir()) == ["A 1", "B", RESULTS]
