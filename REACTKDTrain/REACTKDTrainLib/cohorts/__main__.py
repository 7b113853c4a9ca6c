"""The command line: `python -m REACTKDTrainLib.cohorts check DIR [--datalist cohort.json]`.

Prints what was found and a line for every problem, with its case. Ends with 0, or with 2 and one sentence on the error
stream. OnProgress is shown on a terminal only.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from REACTKDLib.core.console import escape_what_cannot_be_shown
from REACTKDLib.core.errors import FileMissing, ReactkdError, UsageError
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.log import TRAINING, log_unforeseen
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress
from REACTKDLib.core.text import plural
from REACTKDTrainLib.cohorts.survey import Problem, Survey, against_header

EXIT_REFUSED = 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage text."""

    def error(self, message: str) -> None:
        raise UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}; see --help.")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = _Parser(prog="python -m REACTKDTrainLib.cohorts", description="Look at real cohorts before training.")
    commands = command.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    check = commands.add_parser(
        "check",
        help="say what a folder holds, with a line for every problem",
        description="Recognizes the published hospital layout and its public CT, LiTS17, MSD Task03_Liver, "
        "HCC-TACE-Seg (DICOM, in any layout), folders of case folders, worklists and datalists.",
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="or a worklist (.csv) or datalist (.json)")
    check.add_argument("--datalist", type=Path, metavar="JSON", help="write the cases as a list that training reads")
    check.add_argument("--folds", type=int, metavar="N", help="fix N test folds in the list, by patient")
    check.add_argument("--seed", type=int, default=0, help="of the folds (default 0)")
    check.add_argument("--open", action="store_true", help="open every case as training would (minutes)")
    tace = check.add_argument_group("HCC-TACE-Seg")
    tace.add_argument("--sheet", type=Path, metavar="XLSX", help="the clinical workbook, where it is not in DIR")
    tace.add_argument(
        "--mixed", choices=("exclude", "lower", "higher"), default="exclude",
        help="grades between two, as 'Well-moderately differentiated' (default exclude)",
    )  # fmt: skip
    tace.add_argument(
        "--missing", choices=("keep", "leave-out"), default="keep", help="patients without a grade (default keep)"
    )
    tace.add_argument(
        "--phase", choices=("portal-venous", "arterial", "pre-contrast"), default="portal-venous",
        help="where a series holds several contrast phases (default portal-venous)",
    )  # fmt: skip
    tace.add_argument("--patient", nargs="*", default=[], metavar="ID=HCC_NNN", help="patients that were renamed")
    hospital = check.add_argument_group("hospital layout")
    hospital.add_argument("--grade", nargs="*", default=[], metavar="FOLDER=GRADE", help="what grade folders mean")
    hospital.add_argument(
        "--pairs", choices=("separate", "joined"), default="separate",
        help="make one case of each tracer's PET/CT, or of both where their CTs lie on one grid (default separate)",
    )  # fmt: skip
    return command


def run(
    options: argparse.Namespace, write: Callable[[str], None] = print, on_progress: OnProgress | None = None
) -> None:
    """Do what `options` ask, writing the survey before the list is written. Raises: ReactkdError."""
    if options.folds is not None and options.datalist is None:
        raise UsageError("Folds are fixed in a list; say where to write it with --datalist.")
    survey = survey_of(options, on_progress)
    if options.open:
        survey = open_all(survey, on_progress)
    write("\n".join(survey.lines()))
    if not survey.cases:
        raise UsageError("There is no case that training could use; the lines above say why.")
    if options.datalist is not None:
        from REACTKDTrainLib.cohorts.datalist import folds_of, write_datalist

        folds = None if options.folds is None else folds_of(survey.cases, options.folds, options.seed)
        write_datalist(survey, options.datalist, folds)
        write(f"Wrote {options.datalist.name} with {plural(len(survey.cases), 'case')}.")


def survey_of(options: argparse.Namespace, on_progress: OnProgress | None = None) -> Survey:
    """Recognize the layout of the folder and look at it. Raises: FileMissing, UsageError."""
    from REACTKDTrainLib.cohorts.layout import LayoutOptions, survey_folder
    from REACTKDTrainLib.cohorts.listed import listed_cohort

    folder = options.folder
    if not folder.exists():
        raise FileMissing("There is nothing at the path given; check the path.")
    if folder.is_dir():
        choices = LayoutOptions(
            options.pairs,
            _pairs(options.grade),
            options.mixed,
            options.missing,
            options.phase,
            options.sheet,
            _pairs(options.patient),
        )
        survey = survey_folder(folder, choices, on_progress)
        if survey is not None:
            return survey

    cohort = listed_cohort(folder)
    return Survey(
        f"{cohort.name} (listed)", cohort.cases, tuple(Problem(c, "unreadable", w) for c, w in cohort.skipped)
    )


def open_all(survey: Survey, on_progress: OnProgress | None = None) -> Survey:
    """Open every case; what cannot be opened leaves the survey with the reason, and remarks are told."""
    cases, problems = [], list(survey.problems)
    for number, case in enumerate(survey.cases):
        if on_progress:
            on_progress(number / len(survey.cases), case.id)
        try:
            opened = case.load()
        except (ReactkdError, OSError) as error:
            problems.append(Problem(case.id, "unreadable", str(error)))
            continue
        cases.append(case)
        problems += [Problem(case.id, f.code, f.message) for f in opened.findings if f.severity != "info"]
        if not any(p.case == case.id and p.code == "orientation" for p in survey.problems):
            problems += _orientation(opened)
    return Survey(survey.kind, tuple(cases), tuple(problems), survey.clinical)


def _orientation(case: Case) -> list[Problem]:
    """What in the CT of a case speaks against its header."""
    from REACTKDTrainLib.cohorts.content import disagreements

    ct = case.volumes.get(Modality.CT)
    found = [] if ct is None else disagreements(ct, case.liver)
    return [] if not found else [Problem(case.id, "orientation", against_header(found))]


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    odd = [text for text in texts if text.count("=") != 1]
    if odd:
        raise UsageError(f"{odd[0]!r} is not written as NAME=VALUE; correct it.")
    return dict(text.split("=") for text in texts)


def _show(fraction: float, text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{fraction:4.0%} {text[:90]}" + ("\r\x1b[K" if fraction >= 1.0 else ""))
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    escape_what_cannot_be_shown()
    warnings.simplefilter("ignore")  # a library's remark on one header is not a line of the survey
    try:
        run(parser().parse_args(arguments), on_progress=_show if sys.stderr.isatty() else None)
    except ReactkdError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    except OSError as error:
        print(
            f"A file or folder cannot be read ({error.strerror or 'unknown'}); check its permissions.", file=sys.stderr
        )
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("Stopped; no list was written.", file=sys.stderr)
        return EXIT_REFUSED
    except Exception as error:  # whatever it is, a user reads one sentence
        where = log_unforeseen(error, "the check of a cohort", TRAINING)
        text = f"An unforeseen fault ended the check ({type(error).__name__}); please report it; {where}."
        print(text, file=sys.stderr)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
