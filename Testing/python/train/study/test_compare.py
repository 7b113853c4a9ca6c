"""Two finished runs are compared from their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.training.predictions import Prediction, write_predictions
from support.predictions import graded_predictions


def write_run(folder: Path, grades: np.ndarray, probabilities: np.ndarray) -> None:
    folder.mkdir()
    rows = [
        f"c{n},,student,ct,{GRADES[g]}," + ",".join(map(str, p.tolist()))
        for n, (g, p) in enumerate(zip(grades, probabilities))
    ]
    text = "\n".join(["case,fold,model,inputs,grade,well,moderate,poor", *rows])
    (folder / "predictions_external_by_inputs.csv").write_text(text)


def test_two_runs_are_compared_on_their_common_cases(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grades, p = graded_predictions(40)
    write_run(tmp_path / "a", grades, p)
    write_run(tmp_path / "b", grades, p[:, [1, 2, 0]])
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path / "b"), "--inputs", "ct", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == 40 and found["macro_auc"][0] == pytest.approx(macro_auc(grades, p))
    assert found["difference"] == pytest.approx(found["macro_auc"][0] - found["macro_auc"][1])
    assert found["interval95"][0] > 0


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grades, p = graded_predictions(40)
    patients = [f"p{n}" for n in range(40)]
    rows = [predictions(grades, q, patients) for q in (p, p[:, [1, 2, 0]])]
    command = write_both(tmp_path, *rows)
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(command[:-1]) == 0
    head, _line, row = capsys.readouterr().out.splitlines()
    low, high = found["interval95"]
    assert head == "| images | cases | macro AUC of the first | of the second | first minus second (95 %) | p |"
    assert row.startswith(f"| ct | 40 | {found['macro_auc'][0]:.3f} | {found['macro_auc'][1]:.3f} | ")
    assert f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})" in row


def test_a_run_that_is_not_finished_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(tmp_path / "a", *graded_predictions(10))
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path), "--inputs", "ct"]) == 2
    assert "let it finish, compare the folds (--cases folds)" in capsys.readouterr().err
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path / "b"), "--inputs", "ct"]) == 2
    assert "There is no folder of a run at the path given, 'b'" in capsys.readouterr().err


def predictions(grades: np.ndarray, p: np.ndarray, patients: list[str], inputs: str = "ct") -> list[Prediction]:
    return [
        Prediction(f"c{n}", patients[n], 0, int(g), "student", inputs, True, tuple(q))
        for n, (g, q) in enumerate(zip(grades, p.tolist(), strict=True))
    ]


def write_both(folder: Path, *runs: list[Prediction]) -> list[str]:
    for name, rows in zip("ab", runs, strict=True):
        write_predictions(folder / name / "predictions_external_by_inputs.csv", rows, subsets=True)
    return ["compare", "runs", str(folder / "a"), str(folder / "b"), "--json"]


def test_two_scans_of_a_patient_count_as_one_patient(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Each patient is scanned twice with the same answer: the interval is that of the patients, not of the scans."""
    grades, p = graded_predictions(40)
    q = graded_predictions(40, seed=3)[1]
    scanned = [np.repeat(x, 2, axis=0) for x in (grades, p, q)]
    patients = [f"p{n // 2:02d}" for n in range(80)]
    runs = [predictions(scanned[0], x, patients) for x in scanned[1:]]
    assert main(write_both(tmp_path, *runs)) == 0
    found = json.loads(capsys.readouterr().out)
    once = paired_auc_difference(grades, np.round(p, 6), np.round(q, 6), np.array(patients[::2]))
    assert found["cases"] == 80 and found["interval95"] == pytest.approx(once["interval95"], abs=1e-3)


def test_runs_that_disagree_on_a_grade_are_refused_by_the_case(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grades, p = graded_predictions(12)
    other = grades.copy()
    other[4] = (other[4] + 1) % 3
    patients = [f"p{n}" for n in range(12)]
    command = write_both(tmp_path, predictions(grades, p, patients), predictions(other, p, patients))
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "c4" in said and GRADES[grades[4]] in said and GRADES[other[4]] in said


@pytest.mark.parametrize("inputs", ["ct", "fdg"])
def test_runs_are_compared_on_the_images_that_their_cases_have(inputs: str, tmp_path: Path, capsys) -> None:
    grades, p = graded_predictions(12)
    rows = predictions(grades, p, [f"p{n}" for n in range(12)], inputs)
    assert main(write_both(tmp_path, rows, rows)) == 0
    assert [json.loads(line)["inputs"] for line in capsys.readouterr().out.splitlines()] == [inputs]


def test_a_grade_without_a_case_has_no_area_and_the_output_is_valid_json(tmp_path: Path, capsys) -> None:
    grades, p = graded_predictions(12)
    rows = predictions(np.minimum(grades, 1), p, [f"p{n}" for n in range(12)])
    assert main(write_both(tmp_path, rows, rows)) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["macro_auc"] == [None, None] and found["difference"] is None


def test_a_record_that_is_no_json_is_left_aside_and_the_fault_is_a_sentence(tmp_path, capsys) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text("[" * 200_000)
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path / "a")]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and "unforeseen" not in said
