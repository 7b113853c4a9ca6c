"""A student is evaluated on its answer from all the images it reads, whatever other images a case has."""

from __future__ import annotations

from pathlib import Path

import pytest

from REACTKDLib.core.student.config import StudentConfig
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.training.predictions import measure, predict_student
from support.tiny_phantoms import fold_data, tiny_cases


@pytest.mark.parametrize("modalities", [("ct",), ("ct", "fdg")])
def test_a_student_of_fewer_images_than_the_cases_have_is_measured(modalities: tuple[str, ...], tmp_path: Path) -> None:
    data = fold_data(tmp_path, tiny_cases(3))
    student = Student(StudentConfig(modalities=modalities, filters=4, widths=(4, 8, 8), hidden=12))
    rows = predict_student(student, data, 0)
    assert {row.inputs for row in rows if row.whole} == {"+".join(modalities)}
    assert measure(rows, draws=5)["n"] == 3
