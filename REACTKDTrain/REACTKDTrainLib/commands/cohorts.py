"""`cohorts check DIR` and `cohorts open DIR --pattern ...`: print the cases found, and one line for every problem."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.core.errors import FileMissing, ReactkdError, UsageError
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import plural
from REACTKDTrainLib.commands.cohorts_open import (
    add_list_arguments,
    add_map_argument,
    add_open_arguments,
    own_survey,
    task_of,
)
from REACTKDTrainLib.progress import display_for

if TYPE_CHECKING:
    from REACTKDLib.core.images.case import Case
    from REACTKDTrainLib.cohorts.survey import Problem, Survey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    add_open_arguments(commands)
    check = commands.add_parser(
        "check",
        help="describe the contents of a folder, with a line for every problem",
        description="Recognizes the published hospital layout and its public CT, LiTS17, MSD Task03_Liver, "
        "HCC-TACE-Seg (DICOM, in any layout), folders of case folders, worklists and datalists.",
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="the folder, or a worklist (.csv) or datalist (.json)")
    add_map_argument(check)
    add_list_arguments(check)
    tace = check.add_argument_group("HCC-TACE-Seg")
    tace.add_argument("--sheet", type=Path, metavar="XLSX", help="the clinical workbook, if it is not in DIR")
    tace.add_argument(
        "--mixed", choices=("exclude", "lower", "higher"),
        help="what to do with mixed grades such as 'Well-moderately differentiated': exclude them, or use the lower or "
        "higher grade (default exclude)",
    )  # fmt: skip
    tace.add_argument(
        "--missing",
        choices=("keep", "leave-out"),
        help="what to do with patients without a grade (default keep)",
    )
    tace.add_argument(
        "--phase", choices=("portal-venous", "arterial", "pre-contrast"),
        help="phase to use if a series contains several (default portal-venous)",
    )  # fmt: skip
    tace.add_argument("--patient", nargs="*", default=[], metavar="ID=HCC_NNN", help="patients that were renamed")
    hospital = check.add_argument_group("hospital layout")
    hospital.add_argument(
        "--grade", nargs="*", default=[], metavar="FOLDER=GRADE", help="meaning of folders that are named by a grade"
    )
    hospital.add_argument(
        "--pairs", choices=("separate", "joined"),
        help="one case for each tracer's PET/CT, or a joint case if their CTs share a grid (default separate)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Run the command; the survey is printed before the list is written. Raises: ReactkdError."""
    if options.folds is not None and options.datalist is None:
        raise UsageError("Folds are fixed in a list; say where to write it with --datalist.")
    if options.seed is not None and options.folds is None:
        raise UsageError("The option --seed is of the folds, which are drawn with --folds; give both or neither.")
    with display_for(sys.stderr) as on_progress:
        survey = survey_of(options, on_progress)
        survey = opened(survey, on_progress, every=options.open)
    print("\n".join(survey.lines()))
    if not survey.cases:
        raise UsageError("There is no case that training could use; the lines above say why.")
    if options.datalist is not None:
        from REACTKDTrainLib.cohorts.datalist import folds_of, write_datalist

        folds = None if options.folds is None else folds_of(survey.cases, options.folds, options.seed or 0)
        write_datalist(survey, options.datalist, folds)
        print(f"Wrote {options.datalist.name} with {plural(len(survey.cases), 'case')}.")


def survey_of(options: argparse.Namespace, on_progress: OnProgress = no_progress) -> Survey:
    """Recognize the layout of the folder and survey it. Raises: FileMissing, UsageError."""
    from REACTKDTrainLib.cohorts.grade_words import GradeWords
    from REACTKDTrainLib.cohorts.layout import LayoutOptions, check_options, layout_of
    from REACTKDTrainLib.cohorts.listed import listed_cohort
    from REACTKDTrainLib.cohorts.survey import Problem, Survey

    folder = options.folder
    if not folder.exists():
        raise FileMissing("There is nothing at the path given; check the path.")
    if getattr(options, "pattern", None):
        return own_survey(options, on_progress)
    layout = layout_of(folder) if folder.is_dir() else None
    given = _of_layouts(options)
    check_options(layout, given)
    if layout is not None:
        if options.map:
            raise UsageError("A folder in a known layout says its grades itself; --map is for lists.")
        if options.task is not None:
            raise UsageError("A folder in a known layout holds grades of HCC; leave --task out, or list its cases.")
        return layout.survey(folder, LayoutOptions(**given), on_progress)

    cohort = listed_cohort(folder, task_of(options), GradeWords.from_text(*options.map))
    return Survey(
        f"{cohort.name} (listed)", cohort.cases, tuple(Problem(c, "unreadable", w) for c, w in cohort.skipped)
    )


def opened(survey: Survey, on_progress: OnProgress = no_progress, every: bool = True) -> Survey:
    """Open every case; those that cannot be opened are excluded with the reason, and remarks are reported.

    every: False opens only the cases of a list whose files are missing, which gives the reason at once.
    """
    from REACTKDLib.core.masks.regions import regions_of
    from REACTKDTrainLib.cohorts.listed import MISSING
    from REACTKDTrainLib.cohorts.survey import Problem, Survey
    from REACTKDTrainLib.data.graded_lesions import GradeWithoutLesion, check_lesions

    cases, problems = [], list(survey.problems)
    for number, case in enumerate(survey.cases):
        if not every and not case.fingerprint.startswith(MISSING):
            cases.append(case)
            continue
        on_progress(number / len(survey.cases), case.id)
        try:
            loaded = case.load()
            check_lesions(case.grade, len(regions_of(loaded).lesions))
        except GradeWithoutLesion as error:
            problems.append(Problem(case.id, "grade-without-lesion", str(error)))
            continue
        except (ReactkdError, OSError) as error:
            problems.append(Problem(case.id, "unreadable", str(error)))
            continue
        cases.append(case)
        problems += [Problem(case.id, f.code, f.message) for f in loaded.findings if f.severity != "info"]
        if not any(p.case == case.id and p.code == "orientation" for p in survey.problems):
            problems += _orientation(loaded)
    return Survey(survey.kind, tuple(cases), tuple(problems), survey.clinical)


def _orientation(case: Case) -> list[Problem]:
    """Return contradictions between the CT of a case and its header."""
    from REACTKDLib.core.modality import Modality
    from REACTKDTrainLib.cohorts.content import disagreements
    from REACTKDTrainLib.cohorts.survey import Problem, against_header

    ct = case.volumes.get(Modality.CT)
    found = [] if ct is None else disagreements(ct, case.liver)
    return [] if not found else [Problem(case.id, "orientation", against_header(found))]


def _of_layouts(options: argparse.Namespace) -> dict[str, Any]:
    """Return the `LayoutOptions` that were given. Raises: UsageError."""
    own = {name: getattr(options, name) for name in ("pairs", "mixed", "missing", "phase", "sheet")}
    own |= {"grades": _pairs(options.grade), "names": _pairs(options.patient)}
    return {name: value for name, value in own.items() if value not in (None, {})}


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    odd = [text for text in texts if text.count("=") != 1]
    if odd:
        raise UsageError("{given} is not written as NAME=VALUE; correct it.", given=repr(odd[0]))
    pairs: dict[str, str] = {}
    for name, value in (text.split("=") for text in texts):
        if pairs.setdefault(name, value) != value:
            raise UsageError("The command says two things of {name}; leave one.", name=repr(name))
    return pairs
