"""Results of readers of a case list: reading their table, comparing their masks, and tables of both."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.cases.case_list import CaseList, ListedCase
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import masks_on
from REACTKDLib.core.cases.open_job import read_job
from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.files.recognition import Choice
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.review.corrected_masks import CorrectedMasks
from REACTKDLib.core.review.review import Review
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDTrainLib.cohorts.bad_cells import cases_with
from REACTKDTrainLib.cohorts.grade_words import OWN_WORDS
from REACTKDTrainLib.evaluation.bootstrap import bootstrap_weights, interval95
from REACTKDTrainLib.evaluation.mask_agreement import compare_masks
from REACTKDTrainLib.evaluation.readers import StudyReading
from REACTKDTrainLib.results.tables import NOTHING, Table, difference_cell, p_cell, value_cell

#: parts of a review that contain a grade
KINDS = {"reader": "last grade", "unaided": "without the result", "aided": "with the result"}
LISTED = "the list"
MEASURES = ("dice", "surface_mm", "hausdorff95_mm")
_UNNAMED = "(unnamed)"
_GRADES, _SECONDS = ("unaided_grade", "aided_grade", "model_grade"), ("unaided_seconds", "aided_seconds")


class ReaderTable:
    """The table saved by the panel or by `readers table`: a row for each case of each reader."""

    def __init__(self, path: Path) -> None:
        """Read the table. Raises: UsageError for another kind of file, or for contradictory rows of one reading."""
        columns = ("case", "reader", "unaided_grade", "aided_grade")
        self._rows: dict[tuple[str, str], dict[str, str]] = {}
        for row in read_table(Path(path), "the table of readers", columns).rows:
            key = (row["reader"] or _UNNAMED, unicodedata.normalize("NFC", row["case"]))
            if key in self._rows:
                raise UsageError(
                    f"The table of readers has two rows for case {quoted([key[1]])} by one reader; leave one."
                )
            self._rows[key] = row
        if not self._rows:
            raise UsageError(
                "The table of readers is empty; grade cases in the panel of REACTKD in Slicer, and save it again."
            )

    def readings(self, task: Task = HCC_GRADE) -> tuple[dict[str, list[StudyReading]], int]:
        """Return the finished readings of a study, and the number of unfinished ones. task: the classes of the readers.

        Raises: UsageError if there are none.
        """
        found: dict[str, list[StudyReading]] = {}
        begun = 0
        given = [(row, case) for (_reader, case), row in self._rows.items()]
        OWN_WORDS.check_grades(((case, row.get(name)) for row, case in given for name in _GRADES), task)
        cells = [(case, row.get(name)) for row, case in given for name in _SECONDS]
        wrong = [(case, cell) for case, cell in cells if cell and not _is_duration(cell)]
        if wrong:
            raise UsageError(f"{cases_with('seconds', wrong)}; give numbers from 0, or leave the cells empty.")
        for (reader, case), row in self._rows.items():
            unaided, aided, model = (OWN_WORDS.grade(row.get(name), case, task) for name in _GRADES)
            if unaided is None or aided is None:
                begun += unaided is not None
                continue
            seconds = (float(row[name]) if row.get(name) else None for name in _SECONDS)
            found.setdefault(reader, []).append(StudyReading(case, unaided, aided, *seconds, model))
        if not found:
            raise UsageError(
                "The table holds no finished reading of a study: no row has a grade both without and with the result."
            )
        return found, begun


def grades_in(cases: CaseList, review: Review, kind: str, task: Task = HCC_GRADE) -> dict[str, dict[str, int]]:
    """Return reader -> {case: class index of the task} for one of `KINDS`; readers without any are left out.

    Raises: UsageError.
    """
    found: dict[str, dict[str, int]] = {}
    for case in cases.cases:
        record = review.cases.get(case.id)
        for reader in review.readers() if record is not None else ():
            part = record.part(kind, reader)
            if part is not None and (grade := OWN_WORDS.grade(part["grade"], case.id, task)) is not None:
                found.setdefault(reader or _UNNAMED, {})[case.id] = grade
    return found


def _is_duration(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


# -- masks


def mask_agreement(
    cases: CaseList,
    review: Review,
    on_progress: OnProgress,
    draws: int = 2000,
    seed: int = 0,
    task: Task = HCC_GRADE,
) -> dict[str, Any]:
    """Compare the masks of each pair of readers who corrected a case, and of each reader with the masks of the list.

    Returns 'pairs': 'readers', 'structure' (the task's organ or lesion), 'cases', and for each of `MEASURES` the mean
    over the cases where it is defined, with the percentile interval of the bootstrap over cases; 'each': the values of
    every case; 'left_out': sentences.
    """
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    readers = review.readers()
    for number, case in enumerate(cases.cases):
        on_progress(number / len(cases.cases), f"comparing masks, case {number + 1} of {len(cases.cases)}")
        masks = {}
        for name, job in _jobs(cases, review, case, readers):
            try:
                masks[name] = _masks_of(job, task)
            except ReactkdError as error:
                left_out.append(f"Case {quoted([case.id])}, masks of {name}: {error}")
        rows += _pairs_of(case.id, masks, task)
    return {"pairs": _summary(rows, draws, seed), "each": rows, "left_out": left_out, "draws": draws, "seed": seed}


def _jobs(cases: CaseList, review: Review, case: ListedCase, readers: Sequence[str]) -> Iterator[tuple[str, Job]]:
    """Yield (reader, job) for all who corrected the masks of a case, and for the list; nothing if nobody has."""
    found = []
    for reader in readers:
        review.read_as(reader)
        masks = CorrectedMasks(cases, review)
        if masks.of(case) is not None:
            found.append((reader or _UNNAMED, masks.job_with_them(case)))
    if found and case.has_masks:
        found.append((LISTED, case.job))
    yield from found


def _masks_of(job: Job, task: Task) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Return organ and lesions on the grid of the reference image as drawn, and its spacing (k, j, i) in mm."""
    files = read_job(job, task=task)
    if files.segmentation is None or not files.livers:
        raise UsageError(files.problem or f"there is no {task.organ.name} in them.")
    reference = next(iter(files.volumes.values()))
    drawn, _ = masks_on(files.segmentation, Choice(files.livers, files.tumors), reference, task)
    return drawn.liver, drawn.tumor, tuple(float(mm) for mm in reference.spacing[::-1])


def _pairs_of(case: str, masks: Mapping[str, tuple], task: Task) -> Iterator[dict[str, Any]]:
    for (one, a), (other, b) in combinations(masks.items(), 2):
        for place, structure in enumerate((str(task.organ.name), str(task.lesion.name))):
            yield {
                "case": case,
                "readers": [one, other],
                "structure": structure,
                **compare_masks(a[place], b[place], a[2]),
            }


def _summary(rows: list[dict[str, Any]], draws: int, seed: int) -> list[dict[str, Any]]:
    """Return the means over cases for each pair and structure."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(
            (*sorted(row["readers"], key=lambda name: (name == LISTED, name)), row["structure"]), []
        ).append(row)
    found = []
    for (one, other, structure), own in sorted(groups.items()):
        entry: dict[str, Any] = {"readers": [one, other], "structure": structure, "cases": len(own)}
        for measure in MEASURES:
            values = np.array([row[measure] for row in own if row[measure] is not None])
            entry[measure] = {"value": None, "interval95": None, "cases": len(values)}
            if len(values):
                weights = bootstrap_weights(np.zeros(len(values), int), draws=draws, seed=seed)
                spread = weights @ values / len(values)
                entry[measure] |= {"value": float(values.mean()), "interval95": interval95(spread)}
        found.append(entry)
    return found


# -- tables for display


def agreement_table(found: Mapping[str, list[dict[str, Any]]]) -> Table:
    """Return a table of the kappas. found: kind of grade -> `evaluation.readers.agreement`."""
    rows = [["grade", "reader", "reader", "cases", "same grade", "weighted kappa (95 %)"]]
    for kind, pairs in found.items():
        for pair in pairs:
            same = f"{100 * pair['same']:.0f} %" if pair["cases"] else NOTHING
            rows.append([KINDS[kind], *pair["readers"], str(pair["cases"]), same, value_cell(pair.get("kappa"))])
    return rows


def masks_table(found: Mapping[str, Any]) -> Table:
    """Return a table of the agreement of masks: means over cases."""
    rows = [["structure", "masks of", "and of", "cases", "Dice (95 %)", "surface distance, mm", "Hausdorff 95 %, mm"]]
    for pair in found["pairs"]:
        cells = (value_cell(pair[measure]) for measure in MEASURES)
        rows.append([pair["structure"], *pair["readers"], str(pair["cases"]), *cells])
    return rows


def study_table(found: Mapping[str, Any]) -> Table:
    """Return a table of the macro AUC of each reader and of their mean."""
    rows = [["reader", "cases", "AUC without (95 %)", "AUC with (95 %)", "difference (95 %)", "p"]]
    mean = {f"mean of {found['mean']['readers']}": found["mean"]} if found["mean"] else {}
    for name, own in {**found["readers"], **mean}.items():
        auc = (value_cell(own[f"auc_{stage}"]) for stage in ("unaided", "aided"))
        difference = own["auc_difference"]
        cell = difference_cell(difference, 3) if difference["interval95"] else NOTHING
        rows.append([name, str(own["cases"]), *auc, cell, p_cell(difference["p"])])
    return rows


def changes_table(found: Mapping[str, Any]) -> Table:
    """Return a table of each reader's changes after seeing the prediction, agreement with it, and the seconds."""
    heading = ["reader", "changed", "better", "worse", "toward the model", "kappa with the model, without"]
    rows = [[*heading, "and with the result", "seconds without", "seconds with"]]
    for name, own in found["readers"].items():
        counts = (_cell(own[key]) for key in ("changed", "better", "worse", "toward_model"))
        kappas = (value_cell(own[f"kappa_model_{stage}"]) for stage in ("unaided", "aided"))
        rows.append([name, *counts, *kappas, _cell(own["unaided_seconds"]), _cell(own["aided_seconds"])])
    return rows


def _cell(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"
