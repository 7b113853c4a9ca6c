"""`readers table|agreement LIST` and `readers study TABLE --truth LIST`: results of several readers of one list."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.writing.atomic import write_text
from REACTKDTrainLib.commands.cohorts_open import add_map_argument
from REACTKDTrainLib.progress import display_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands and their options."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")

    table = kinds.add_parser("table", help="write the grades and marks of all readers of a list as CSV")
    table.add_argument("list", type=Path, help="the list (CSV, datalist or folder); its review is beside it")
    table.add_argument("--output", type=Path, required=True, help="the CSV file")
    table.set_defaults(readers=_table)

    agree = kinds.add_parser("agreement", help="weighted kappa and mask agreement of each pair of readers")
    agree.add_argument("list", type=Path, help="the list; its review is beside it")
    agree.add_argument("--no-masks", action="store_true", help="compare grades only, without opening images")
    agree.set_defaults(readers=_agreement)

    study = kinds.add_parser("study", help="effect of showing the model's result: AUC, grades, seconds")
    study.add_argument("table", type=Path, help="the table of readers, from the panel or from 'readers table'")
    study.add_argument(
        "--truth", type=Path, required=True, help="grades: a CSV with case and grade, or the list itself"
    )
    study.set_defaults(readers=_study)
    add_map_argument(study)
    for command in (table, agree, study):
        command.add_argument("--task", type=Path, metavar="JSON", help="task file of the list (default: hcc-grade)")
    for command in (agree, study):
        command.add_argument("--output", type=Path, help="a .json file for all numbers; tables are printed")
        command.add_argument("--draws", type=int, default=2000, help="bootstrap samples (default 2000)")
        command.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default 0)")


def run(options: argparse.Namespace) -> None:
    """Run the command. Raises: ReactkdError."""
    options.readers(options)


def _task_of(options: argparse.Namespace) -> Task:
    """Return the task that was given. Raises: FileMissing, TaskNotValid."""
    return HCC_GRADE if options.task is None else Task.read(options.task)


def _opened(path: Path, task: Task) -> tuple[Any, Any]:
    """Return the list and its review. Raises: UsageError if nobody has read the list."""
    from REACTKDLib.core.cases.case_list import open_case_list
    from REACTKDLib.core.review.review import Review

    cases = open_case_list(path, task)
    review = Review(cases.review_file)
    if not review.readers():
        raise UsageError(
            "Nobody has graded or marked a case of this list yet; grade cases in the panel of REACTKD in Slicer first."
        )
    return cases, review


def _table(options: argparse.Namespace) -> None:
    from REACTKDLib.core.review.readers_table import readers_csv

    cases, review = _opened(options.list, _task_of(options))
    write_text(options.output, readers_csv(cases, review))
    print(f"Wrote {options.output.name}.")


def _agreement(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.evaluation.readers import agreement
    from REACTKDTrainLib.study import readers

    task = _task_of(options)
    cases, review = _opened(options.list, task)
    of_kinds = {kind: readers.grades_in(cases, review, kind, task) for kind in readers.KINDS}
    bootstrap = (options.draws, options.seed)
    grades = {k: agreement(own, *bootstrap, len(task.classes)) for k, own in of_kinds.items() if len(own) > 1}
    found: dict[str, Any] = {"grades": grades}
    texts = [_as_text(readers.agreement_table(grades))] if grades else ["Fewer than two readers gave a grade."]
    if not options.no_masks:
        with display_for(sys.stderr) as on_progress:
            found["masks"] = readers.mask_agreement(cases, review, on_progress, *bootstrap, task)
        pairs = found["masks"]["pairs"]
        texts += [_as_text(readers.masks_table(found["masks"])) if pairs else "No masks of two readers to compare."]
        texts += found["masks"]["left_out"]
    _give(found, texts, options.output)


def _study(options: argparse.Namespace) -> None:
    from REACTKDTrainLib.cohorts.grade_words import GradeWords
    from REACTKDTrainLib.cohorts.listed import reference_grades
    from REACTKDTrainLib.evaluation.readers import reader_study
    from REACTKDTrainLib.study import readers

    task = _task_of(options)
    readings, begun = readers.ReaderTable(options.table).readings(task)
    truth = reference_grades(options.truth, GradeWords.from_text(*options.map), task)
    found = reader_study(readings, truth, options.draws, options.seed, len(task.classes))
    found["begun_only"] = begun
    if not found["readers"]:
        raise UsageError(
            "No case of the table has a grade in the list given with --truth; check that both name cases alike."
        )
    texts = [_as_text(readers.study_table(found)), _as_text(readers.changes_table(found))]
    if begun:
        texts.append(f"Left out: {begun} readings that were begun and not finished.")
    if found["without_truth"]:
        texts.append(f"Left out: {found['without_truth']} readings of cases without a grade in the list.")
    _give(found, texts, options.output)


def _as_text(table: list[list[str]]) -> str:
    from REACTKDTrainLib.results.tables import markdown

    return markdown(table)


def _give(found: dict[str, Any], texts: list[str], output: Path | None) -> None:
    if output is not None:
        write_text(output, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print("\n\n".join(texts))
