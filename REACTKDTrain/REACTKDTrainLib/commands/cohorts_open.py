"""Options of `cohorts open`, which finds cases in folders with any structure, and their evaluation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.progress import OnProgress

if TYPE_CHECKING:
    from REACTKDLib.core.task import Task
    from REACTKDTrainLib.cohorts.survey import Survey

GRADE = "grade"  # default name of the column with the grade


def add_open_arguments(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "open",
        help="find cases in your own folders by the names of files, with grades of a sheet",
        description="Finds cases by patterns of their files, with the grades of a table, and prints which fit and "
        "which do not. With --datalist the cases become a list that training, batch and the panel read.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--pattern",
        nargs="+",
        required=True,
        metavar="PATTERN",
        help="of paths below DIR, such as '{case}/CT_*.nii.gz'; * and ? stay in one name, **/ is any folders, and "
        "{patient} is read too. What the files are is read from the pattern, or written before it: fdg=, ct=, "
        "acetate=, segmentation=, organ=, lesion=",
    )
    sheet = parser.add_argument_group("grades")
    sheet.add_argument("--sheet", type=Path, metavar="CSV|XLSX", help="a table with a row for each case")
    sheet.add_argument("--grade-column", metavar="NAME", help=f"default: {GRADE}")
    sheet.add_argument("--case-column", default="", metavar="NAME", help="by default the one that names cases")
    sheet.add_argument("--patient-column", default="", metavar="NAME", help="needed if patients have several cases")
    add_map_argument(sheet)
    sheet.add_argument("--keep", nargs="+", default=[], metavar="NAME", help="columns to keep as clinical data")
    add_list_arguments(parser)


def add_map_argument(parser: Any) -> None:
    """Add the option for the meaning of the grades in a list or sheet."""
    parser.add_argument(
        "--map", nargs="+", default=[], metavar="TEXT=CLASS", help="meaning of the grades, such as G1=well"
    )


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands share, for writing the list."""
    parser.add_argument("--task", type=Path, metavar="JSON", help="task file (default: the grade of HCC)")
    parser.add_argument("--datalist", type=Path, metavar="JSON", help="write the cases as a list for training")
    parser.add_argument("--folds", type=int, metavar="N", help="assign N test folds in the list, by patient")
    parser.add_argument("--seed", type=int, help="seed of the folds (default 0)")
    parser.add_argument("--open", action="store_true", help="open every case as training does (minutes)")


def own_survey(options: argparse.Namespace, on_progress: OnProgress) -> Survey:
    """Survey the folder by the patterns and the sheet in `options`. Raises: UsageError, FileMissing."""
    from REACTKDTrainLib.cohorts.file_patterns import FilePattern
    from REACTKDTrainLib.cohorts.grade_words import GradeWords
    from REACTKDTrainLib.cohorts.own_folders import survey_own
    from REACTKDTrainLib.cohorts.own_sheet import OwnSheet

    if not options.folder.is_dir():
        raise UsageError("Patterns are of files in a folder; give the folder.")
    if options.map and options.sheet is None:
        raise UsageError("What grades mean is asked of a sheet; give it with --sheet.")
    about = ("grade_column", "case_column", "patient_column", "keep")
    given = [name.replace("_", "-") for name in about if getattr(options, name)]
    if given and options.sheet is None:
        raise UsageError(f"The option --{given[0]} is about a sheet; give it with --sheet.")
    columns = (options.grade_column or GRADE, options.case_column, options.patient_column)
    words = GradeWords.from_text(*options.map)
    sheet = None if options.sheet is None else OwnSheet(options.sheet, *columns, words, tuple(options.keep))
    return survey_own(
        options.folder, [FilePattern.from_text(text) for text in options.pattern], sheet, task_of(options), on_progress
    )


def task_of(options: argparse.Namespace) -> Task:
    """Return the task of the cases. Raises: see `Task.read`."""
    from REACTKDLib.core.task import HCC_GRADE, Task

    return HCC_GRADE if options.task is None else Task.read(options.task)
