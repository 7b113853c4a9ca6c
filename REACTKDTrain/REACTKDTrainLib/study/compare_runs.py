"""Comparison of two finished runs on the same held-out cases by their CSV files: paired difference of macro AUC."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.errors import FileMissing, UsageError
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import INPUT_NAMES
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.training_run import RECORD
from REACTKDTrainLib.evaluation.auc import macro_auc
from REACTKDTrainLib.evaluation.checks import number_or_none
from REACTKDTrainLib.evaluation.intervals import paired_auc_difference
from REACTKDTrainLib.results.tables import difference_cell, markdown, number_cell, p_cell

INPUTS = INPUT_NAMES


class Answer(NamedTuple):
    """A student's prediction for a case. probabilities: (K,)."""

    patient: str
    grade: int
    probabilities: np.ndarray


Answers = dict[str, Answer]  # by case


def compare_runs(run_a: Path, run_b: Path, inputs: str, cases: str = "external", draws: int = 2000) -> dict:
    """Return the macro AUC of each run, and `paired_auc_difference` of A minus B, with these inputs ('ct+fdg').

    cases: 'external' or 'folds', the held-out cases to use; cases without a grade are excluded.
    Raises: UsageError for a run without predictions, or if the runs predicted different cases or have different grades.
    """
    tasks = [_task_of(run) for run in (run_a, run_b)]
    if tasks[0] != tasks[1]:
        raise UsageError("The two runs are of different tasks; compare runs of one task.")
    classes = tasks[0].class_names
    a, b = (_read_answers(run, inputs, cases, classes) for run in (run_a, run_b))
    return {"inputs": inputs, **paired(a, b, draws, classes)}


def table_of(found: Sequence[Mapping]) -> str:
    """Return the results of `compare_runs` for each set of images, as a Markdown table."""
    rows = [["images", "cases", "macro AUC of the first", "of the second", "first minus second (95 %)", "p"]]
    for own in found:
        aucs = [number_cell(auc) for auc in own["macro_auc"]]
        rows.append([own["inputs"], str(own["cases"]), *aucs, difference_cell(own, 3), p_cell(own["p"])])
    return markdown(rows)


def inputs_in_common(run_a: Path, run_b: Path, cases: str = "external") -> list[str]:
    """Return the `INPUTS` with which both runs predicted graded cases; if there are none, all common sets of images.

    Raises: UsageError for a run without predictions, or without inputs in common.
    """
    a, b = ({row["inputs"] for row in _graded_rows(run, cases, _task_of(run).class_names)} for run in (run_a, run_b))
    if not a & b:
        raise UsageError("The two runs predicted no graded case with the same images; compare runs with such cases.")
    return reported(a & b)


def reported(there: Collection[str]) -> list[str]:
    return [name for name in INPUTS if name in there] or sorted(there)


def _task_of(run: Path) -> Task:
    """Return the task in the run's record; older runs without one used the built-in task."""
    try:
        record = parse_json((Path(run) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return HCC_GRADE  # reading the next file will report what is missing
    return Task.from_dict(record["task"]) if "task" in record else HCC_GRADE


def _graded_rows(run: Path, cases: str, classes: Sequence[str]) -> list[dict[str, str]]:
    """Return the student's rows of cases with a grade."""
    name = "predictions_external_by_inputs.csv" if cases == "external" else "predictions_by_inputs.csv"
    path = Path(run) / name
    if not Path(run).is_dir():
        raise FileMissing(f"There is no folder of a run at the path given, {Path(run).name!r}; check the path.")
    if not path.is_file():
        other = ", compare the folds (--cases folds), or give it an external cohort" if cases == "external" else ""
        raise UsageError(f"The run {Path(run).name} has no {name}; let it finish{other}.")
    table = read_table(path, f"the file {name}", ("case", "model", "inputs", "grade", *classes))
    return [row for row in table.rows if row["model"] == "student" and row["grade"]]


def _read_answers(run: Path, inputs: str, cases: str, classes: Sequence[str]) -> Answers:
    """Read the predictions of a run. In files of earlier releases without patients, each case counts as a patient."""
    out = {
        row["case"]: Answer(
            row.get("patient") or row["case"],
            classes.index(row["grade"]),
            np.array([float(row[g]) for g in classes]),
        )
        for row in _graded_rows(run, cases, classes)
        if row["inputs"] == inputs
    }
    if not out:
        raise UsageError(f"The run {Path(run).name} predicted no graded case with the inputs {inputs!r}.")
    return out


def aligned(sides: Sequence[Answers], classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grades (n,), patients (n,) and probabilities (sides, n, K) of the same cases in one order.

    Raises: UsageError if the sides have different cases, or different grades of a case.
    """
    names = sorted(sides[0])
    for side in sides[1:]:
        if set(side) != set(names):
            raise UsageError("The two runs predicted different cases; compare runs with the same cohorts.")
        for name in names:
            of_case = (sides[0][name].grade, side[name].grade)
            if of_case[0] != of_case[1]:
                said = " and ".join(classes[grade] for grade in of_case)
                raise UsageError(
                    f"The runs know two grades of the case {name}, {said}; compare runs with the same grades."
                )
    known = [sides[0][name] for name in names]
    probabilities = np.array([[side[name].probabilities for name in names] for side in sides])
    return np.array([one.grade for one in known]), np.array([one.patient for one in known]), probabilities


def paired(a: Answers, b: Answers, draws: int = 2000, classes: Sequence[str] = GRADES) -> dict:
    grades, patients, (p, q) = aligned((a, b), classes)
    found = paired_auc_difference(grades, p, q, patients, draws=draws, classes=classes)
    return {"macro_auc": [number_or_none(macro_auc(grades, x)) for x in (p, q)], **found}


# -- two methods, trained for the comparison
