"""Functions for programs and notebooks: train a model, and evaluate one on other cases. `REACTKDTrainLib` exports them.

from REACTKDTrainLib import evaluate, train
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from REACTKDLib.api import Grader, load_model
from REACTKDLib.core.errors import ReactkdError, TaskMismatch, UsageError
from REACTKDLib.core.files.given_paths import PathLike
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality, subset_name, subsets_of
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.ensemble import Ensemble
from REACTKDLib.core.task import UNNAMED
from REACTKDLib.core.text import MOST_NAMED, quoted, unknown_name
from REACTKDLib.core.worker.training_run import RECORD
from REACTKDLib.core.writing.run_lock import running_alone
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.data.scan_content import scan_contents
from REACTKDTrainLib.evaluation.calibration import reliability_curve, top_label
from REACTKDTrainLib.evaluation.roc import roc_curves
from REACTKDTrainLib.results.curves import draw_reliability, draw_roc
from REACTKDTrainLib.results.figures import save_figure
from REACTKDTrainLib.training.experiment import run_experiment
from REACTKDTrainLib.training.options import RunOptions
from REACTKDTrainLib.training.predictions import Prediction, measure, write_metrics, write_predictions
from REACTKDTrainLib.training.preparation import UnreadableCase
from REACTKDTrainLib.training.record import describe_cohort, run_of_model, scans_of_run, short_hashes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Cohort", "Run", "evaluate", "open_cohort", "train"]

LEAST_CASES = 12  # fewer are too few for a curve
METRICS, FIGURES = "metrics.json", ("roc", "calibration")


@dataclass(frozen=True)
class Run:
    """A finished training.

    folder: the output folder. bundle: the folder of its model, None if only teachers were trained. ensemble: the folder
    of the ensemble of all folds, None if fewer than two were trained.
    """

    folder: Path
    bundle: Path | None
    ensemble: Path | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`: measures with 95 % intervals on held-out cases."""
        return parse_json((self.folder / METRICS).read_text(encoding="utf-8"))


def train(cohort: PathLike, output: PathLike, *, on_progress: OnProgress = no_progress, **options: Any) -> Run:
    """Train teachers and a student; equivalent to `python -m REACTKDTrainLib train` (same files, same weights).

    Args:
        cohort: a datalist (.json), a worklist (.csv), a folder in a known layout, or `phantom:hospital?cases=24`.
        output: the folder of the run.
        on_progress: called with (fraction, text).
        options: fields of `training.options.RunOptions`, such as `method="kd"`, `folds=3`, `resume=True`.

    Returns: the run; `run.metrics`, `run.bundle`.

    Raises: UsageError, which names the option; the errors of files; Stopped if there is a file STOP in the folder.

    Example:
        >>> run = train(cohort="cases.json", output="run")
        >>> run.metrics["macro_auc"]
    """
    unknown = sorted(set(options) - {field.name for field in fields(RunOptions)})
    if unknown:
        known = [f.name for f in fields(RunOptions) if f.name not in ("cohort", "output")]
        raise UsageError(f"There is no option {unknown[0]!r} of a training; {unknown_name(unknown[0], known)}")
    result = run_experiment(RunOptions(cohort=str(cohort), output=Path(output), **options), on_progress)
    return Run(Path(output), result.bundle, result.ensemble)


def evaluate(
    model: Run | Grader | PathLike,
    cohort: PathLike | Cohort,
    output: PathLike | None = None,
    *,
    device: str = "auto",
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Grade every case of a cohort with every subset of its images, and evaluate the predictions.

    Args:
        model: a run of `train`, a model of `REACTKDLib.load_model`, or the folder of a model.
        cohort: see `train`; none of its cases may have been used for training. Those of a run's training are
            recognized by their voxels, if `model` is the run, or a model or ensemble loaded from its folder.
        output: a folder for `predictions.csv`, `predictions_by_inputs.csv`, `metrics.json` and the figures `roc` and
            `calibration` (with at least 12 graded cases); None writes nothing.
        device: if the model is loaded here, see `REACTKDLib.load_model`.
        on_progress: called with (fraction, text).

    Returns: the measures as in `metrics.json`: "macro_auc" with "macro_auc_interval95" (bootstrap over patients),
    "accuracy" and others with all images of each case, and the same for each subset of the images under "inputs". Cases
    without a lesion large enough to grade have no prediction; they are counted in "cases_without_answer" and excluded
    from all measures.

    Raises: UsageError for a run without a model, a cohort without grades or with scans of the run's training, and an
    output folder that holds a training; UnreadableCase, which names the first case that cannot be graded; FolderInUse,
    OutputNotWritable.

    Example:
        >>> evaluate(run, cohort="external.json", output="external")["macro_auc"]
    """
    folder = None if output is None else Path(output)
    if folder is not None:
        _check_output(folder)
    opened = _opened(model, device)
    cases = cohort if isinstance(cohort, Cohort) else open_cohort(str(cohort), task=opened.task)
    _check_cases(cases, opened, model)
    # held during the work, so that a folder that cannot be written is refused before it
    with nullcontext() if folder is None else running_alone(folder / METRICS, "an evaluation"):
        rows, metrics = _measured(opened, cases, _scans_of_training(model), on_progress)
        if folder is not None:
            _write(folder, rows, metrics, opened.task.class_names)
    on_progress(1.0, "done")
    return metrics


def _check_output(folder: Path) -> None:
    """Raise UsageError for a file, or a folder whose results of a training have the names of an evaluation's."""
    if folder.exists() and not folder.is_dir():
        raise UsageError("The output is a file; give a folder.")
    if (folder / RECORD).exists():
        raise UsageError(
            "The output folder holds a training, whose predictions and measures would be replaced; choose another "
            "folder."
        )


def _check_cases(cases: Cohort, model: Grader, given: Run | Grader | PathLike) -> None:
    """Raise UsageError for a cohort without grades or of another task, or that of the run's training."""
    if not cases.graded:
        raise UsageError(f"No case of the cohort {cases.name} has a grade; there is nothing to measure against.")
    if cases.task != model.task and UNNAMED not in (cases.task.name, model.task.name):
        raise TaskMismatch(
            f"The cohort is of the task {cases.task.name} where the model answers {model.task.name}; give other cases."
        )
    if any(_trained_on(folder, cases) for folder in _runs_of(given)):
        raise UsageError(
            "The run was trained on these cases, so it cannot be measured on them; its predictions.csv has those of "
            "each fold's held-out cases. Give other cases."
        )


def _runs_of(given: Run | Grader | PathLike) -> set[Path]:
    """Return the folders of the runs that wrote a model, or the members of an ensemble, as far as they are known."""
    if isinstance(given, Run):
        return {given.folder}
    models: list[PathLike | None] = []
    if not isinstance(given, Grader):
        models.append(given)
    elif isinstance(given.bundle, Ensemble):
        models += [member.folder for member in given.bundle.members]
    else:
        models.append(given.bundle.folder)
    return {run for model in models if model is not None and (run := run_of_model(Path(model))) is not None}


def _trained_on(folder: Path, cases: Cohort) -> bool:
    """Return True if the record of a run, if there is one, has exactly these graded cases as its cohort."""
    try:
        record = parse_json((folder / RECORD).read_text(encoding="utf-8"))
        content = record["cohorts"]["cohort"]["content"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return content == describe_cohort(replace(cases, cases=cases.graded))["content"]


def _scans_of_training(model: Run | Grader | PathLike) -> frozenset[str]:
    """Return the scans of the runs that a model was written by, if they are known: see `scans_of_run`."""
    return frozenset().union(*map(scans_of_run, _runs_of(model)))


def _measured(
    model: Grader, cases: Cohort, trained_on: Collection[str], on_progress: OnProgress
) -> tuple[list[Prediction], dict[str, Any]]:
    """trained_on: see `scans_of_run`.

    Raises: UsageError that names the cases with such a scan; UnreadableCase that names the first case that cannot be
    graded.
    """
    rows: list[Prediction] = []
    known: list[str] = []
    failed: dict[str, ReactkdError] = {}
    without_answer = 0
    for n, case in enumerate(cases.graded):
        on_progress(n / len(cases.graded), f"grading {n + 1} of {len(cases.graded)}")
        try:
            opened = case.load()
            if trained_on and not short_hashes(scan_contents(opened)).isdisjoint(trained_on):
                known.append(case.id)
            if known or failed:  # the others are read too, so that the message is complete
                continue
            answers = _answers(model, case, opened)
        except ReactkdError as fault:
            failed[case.id] = fault
            continue
        without_answer += not answers
        rows += answers
    if known:
        raise UsageError(
            f"The run was trained on scans of {quoted(known, MOST_NAMED)}; a model cannot be measured on what it was "
            "trained on: take them out of the cohort."
        )
    if failed:
        name, error = next(iter(failed.items()))
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        text = f"Case {name} cannot be graded{more}: {error} Or take such cases out of the cohort."
        raise UnreadableCase(text) from error
    measures = measure(rows, classes=model.task.class_names)
    return rows, {"digital_phantom": cases.phantom, "cases_without_answer": without_answer, **measures}


def _write(folder: Path, rows: list[Prediction], metrics: dict[str, Any], classes: tuple[str, ...]) -> None:
    write_predictions(folder / "predictions.csv", rows, classes=classes)
    write_predictions(folder / "predictions_by_inputs.csv", rows, True, classes)
    write_metrics(folder / METRICS, metrics)
    for name in FIGURES:  # of an earlier evaluation, in case there are too few cases now
        for path in (folder / "figures").glob(f"{name}.*"):
            path.unlink()
    _draw(folder / "figures", rows, classes, "Digital phantoms." if metrics["digital_phantom"] else "")


def _opened(model: Run | Grader | PathLike, device: str) -> Grader:
    if isinstance(model, Grader):
        return model
    folder = model.bundle if isinstance(model, Run) else Path(model)
    if folder is None:
        raise UsageError("The run trained teachers alone and has no model; train the student too.")
    return load_model(folder, device)


def _answers(model: Grader, case: CohortCase, opened: Case) -> list[Prediction]:
    """Return one row for each subset of the images that the model reads; no row for a case without a lesion."""
    session = model.open(opened)
    own = tuple(m.value for m in session.modalities)
    rows = []
    for subset in subsets_of(own):
        left_out = [Modality(m) for m in own if m not in subset]
        report = session.grade(leave_out=left_out).report
        if report.probabilities is None:
            return []
        p = tuple(report.probabilities[grade] for grade in model.task.class_names)
        name = subset_name(subset)
        rows.append(Prediction(case.id, case.patient, -1, case.grade, "student", name, subset == own, p))
    return rows


def _draw(folder: Path, rows: list[Prediction], classes: tuple[str, ...], caption: str) -> None:
    names = dict.fromkeys(row.inputs for row in rows)
    tables = {name: _table([row for row in rows if row.inputs == name]) for name in names}
    tables = {name: table for name, table in tables.items() if len(table["grade"]) >= LEAST_CASES}
    if not tables:
        return
    curves = {name: roc_curves(t["grade"], t["p"], t["patient"], classes=classes) for name, t in tables.items()}
    most = max(tables, key=lambda name: name.count("+"))
    title = f"ROC by the images given (band: 95 % over patients, {most})"
    save_figure(folder / FIGURES[0], lambda figure: draw_roc(figure, curves, title, most), (10, 4.4), caption)

    def calibration(figure: Figure) -> None:
        axis = figure.subplots()
        found = {name: reliability_curve(*top_label(t["grade"], t["p"], classes)) for name, t in tables.items()}
        draw_reliability(axis, found, "Calibration (bars: 95 %)")
        axis.set_ylabel("how often it was right")
        axis.legend(frameon=False, fontsize=8, loc="lower right")

    save_figure(folder / FIGURES[1], calibration, (5.4, 4.6), caption)


def _table(rows: list[Prediction]) -> Mapping[str, np.ndarray]:
    return {
        "grade": np.array([row.grade for row in rows]),
        "p": np.array([row.probabilities for row in rows]),
        "patient": np.array([row.patient for row in rows]),
    }
