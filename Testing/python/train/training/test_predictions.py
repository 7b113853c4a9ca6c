"""A student is evaluated on its answer from all the images it reads, whatever other images a case has."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.training.predictions import Prediction, measure, predict_student, write_predictions
from support.tiny_phantoms import fold_data, tiny_cases


@pytest.mark.parametrize("modalities", [("ct",), ("ct", "fdg")])
def test_a_student_of_fewer_images_than_the_cases_have_is_measured(modalities: tuple[str, ...], tmp_path: Path) -> None:
    data = fold_data(tmp_path, tiny_cases(3))
    student = Student(StudentConfig(modalities=modalities, filters=4, widths=(4, 8, 8), hidden=12))
    rows = predict_student(student, data, 0)
    assert {row.inputs for row in rows if row.whole} == {"+".join(modalities)}
    assert measure(rows, draws=5)["n"] == 3


def test_predictions_keep_the_order_of_tiny_probabilities(tmp_path: Path) -> None:
    """Rounded to six digits they tied at 0, and `compare runs` gave another AUC for a run than its metrics.json."""
    rows = [
        Prediction(
            case=name, patient=name, grade=0, fold=0, model="student", inputs="ct", probabilities=found, whole=True
        )
        for name, found in (("a", (1e-9, 0.25, 0.75 - 1e-9)), ("b", (2e-9, 0.25, 0.75 - 2e-9)))
    ]
    write_predictions(tmp_path / "p.csv", rows)
    read = read_table(tmp_path / "p.csv", "the file", ("case",)).rows
    assert [tuple(float(row[name]) for name in ("well", "moderate", "poor")) for row in read] == [
        row.probabilities for row in rows
    ]
