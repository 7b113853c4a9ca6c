"""Two finished runs, compared from their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from REACTKDLib.core.grades import GRADES
from REACTKDTrainLib.__main__ import main
from REACTKDTrainLib.evaluation.auc import macro_auc
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
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path / "b"), "--inputs", "ct"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == 40 and found["macro_auc"][0] == pytest.approx(macro_auc(grades, p))
    assert found["difference"] == pytest.approx(found["macro_auc"][0] - found["macro_auc"][1])
    assert found["interval95"][0] > 0


def test_a_run_that_is_not_finished_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_run(tmp_path / "a", *graded_predictions(10))
    assert main(["compare", "runs", str(tmp_path / "a"), str(tmp_path), "--inputs", "ct"]) == 2
    assert "let it finish" in capsys.readouterr().err
