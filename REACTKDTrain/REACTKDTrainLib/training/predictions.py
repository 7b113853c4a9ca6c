"""Predictions for held-out cases: rows, files and measures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import SUBSETS, subset_name
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.evaluation.metrics import summarize
from REACTKDTrainLib.models.student_graph import images_read, predict_views
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.training.fold_data import FoldData


@dataclass(frozen=True)
class Prediction:
    """model: 'student', or 'teacher', 'teacher structure function', 'teacher dose'. inputs: 'ct+fdg'; whole: True if
    these are all the images of the case that the model reads. grade: None if unknown. probabilities: of the classes of
    the task.
    """

    case: str
    patient: str
    fold: int
    grade: int | None
    model: str
    inputs: str
    whole: bool
    probabilities: tuple[float, ...]


def predict_student(
    student: Student, data: FoldData, fold: int, predicted: Callable[[], None] = lambda: None
) -> list[Prediction]:
    """Predict every case with every subset of its images, using the expert's masks. fold: for the rows, -1 for none;
    predicted: called after each case.
    """
    student.eval()
    out = []
    found = predict_views(student, map(data.view, range(len(data))), SUBSETS)
    for case, subsets in zip(data.cases, found, strict=True):
        own = subset_name(images_read(student, case.modalities))
        for name, logits in subsets.items():
            out.append(_row(case, fold, "student", name, name == own, logits))
        predicted()
    return out


@torch.no_grad()
def predict_teacher(
    teacher: Teacher, data: FoldData, fold: int, predicted: Callable[[], None] = lambda: None
) -> list[Prediction]:
    """Predict every case with CT: the fused teacher and its branches. predicted: called after each case."""
    out = []
    for index, case in enumerate(data.cases):
        if "ct" in case.modalities:
            output = teacher.eval()([data.view(index)])
            own = subset_name(case.modalities)
            out.append(_row(case, fold, "teacher", own, True, output.logits[0].cpu()))
            for branch, logits in output.branch_logits.items():
                name, inputs = f"teacher {branch.replace('_', ' ')}", "ct" if branch == "dose" else own
                out.append(_row(case, fold, name, inputs, True, logits[0].cpu()))
        predicted()
    return out


def _row(case: CohortCase, fold: int, model: str, inputs: str, whole: bool, logits: Tensor) -> Prediction:
    p = tuple(torch.softmax(logits.double(), dim=0).tolist())
    return Prediction(case.id, case.patient, fold, case.grade, model, inputs, whole, p)


def averaged(folds: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """Average the probabilities of cases that were held out in several folds (an external cohort)."""
    groups: dict[tuple, list[Prediction]] = {}
    for rows in folds:
        for row in rows:
            groups.setdefault((row.case, row.model, row.inputs), []).append(row)
    return [
        Prediction(
            g[0].case, g[0].patient, -1, g[0].grade, g[0].model, g[0].inputs, g[0].whole,
            tuple(np.mean([row.probabilities for row in g], axis=0).tolist()),
        )
        for g in groups.values()
    ]  # fmt: skip


def write_rows(path: Path, rows: Sequence[Prediction]) -> None:
    """Write rows as JSON in full precision, for later evaluation."""
    write_text(path, json.dumps([asdict(row) for row in rows]) + "\n")


def read_rows(path: Path) -> list[Prediction]:
    """Read the rows of `write_rows`. Raises: UsageError for a damaged file."""
    try:
        rows = parse_json(Path(path).read_text(encoding="utf-8"))
        return [Prediction(**{**row, "probabilities": tuple(row["probabilities"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The file {Path(path).name} of {Path(path).parent.name} in the output folder is damaged; remove it, and "
            "resume with that fold to predict its cases again."
        ) from error


def write_predictions(
    path: Path, rows: Iterable[Prediction], subsets: bool = False, classes: Sequence[str] = GRADES
) -> None:
    """Write a CSV: case, fold, grade, and each of `classes` (well, moderate, poor), for the student with all of a
    case's images. With `subsets`: all rows, with patient, model and inputs. Probabilities are written in full
    precision: rounded ones near 0 tie, and measures of the file would differ from those of the run.
    """
    table: list[list] = [["case", "fold", *(["patient", "model", "inputs"] if subsets else []), "grade", *classes]]
    for row in sorted(rows, key=lambda r: (r.model, r.inputs, r.case)):
        if subsets or (row.model == "student" and row.whole):
            fold = "" if row.fold < 0 else row.fold
            grade = "" if row.grade is None else classes[row.grade]
            of = [row.patient, row.model, row.inputs] if subsets else []
            table.append([row.case, fold, *of, grade, *(repr(float(p)) for p in row.probabilities)])
    write_text(path, table_text(table))


def measure(rows: Sequence[Prediction], draws: int = 2000, classes: Sequence[str] = GRADES) -> dict:
    """Return metrics.json: the student with all images at the top, then each subset of inputs and each teacher."""
    graded = [row for row in rows if row.grade is not None]
    out = _summary([r for r in graded if r.model == "student" and r.whole], draws, classes)
    out["inputs"] = {
        subset_name(s): _summary(found, draws, classes)
        for s in SUBSETS
        if (found := [r for r in graded if r.model == "student" and r.inputs == subset_name(s)])
    }
    models = sorted({r.model for r in graded} - {"student"})
    out["teachers"] = {m: _summary([r for r in graded if r.model == m], draws, classes) for m in models}
    return out


def _summary(rows: Sequence[Prediction], draws: int, classes: Sequence[str]) -> dict:
    """Measures of cases; the bootstrap resamples patients."""
    if not rows:
        return {"n": 0, "notes": ["no case with a grade was predicted"]}
    grades = np.array([row.grade for row in rows])
    probabilities = np.array([row.probabilities for row in rows])
    return summarize(grades, probabilities, np.array([row.patient for row in rows]), draws=draws, classes=classes)


def write_metrics(path: Path, metrics: dict) -> None:
    """Write JSON without NaN."""
    write_text(path, json.dumps(metrics, indent=2, allow_nan=False) + "\n")
