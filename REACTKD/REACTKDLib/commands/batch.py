"""`batch`: grade every case of a worklist, going on past those that fail."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import (
    add_bundle_arguments,
    add_device_argument,
    add_different_patients_argument,
    add_keep_specks_argument,
    add_output_argument,
    checked_id,
)
from REACTKDLib.commands.earlier_rows import EarlierRows
from REACTKDLib.commands.grade import open_grader
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.results import ALL, earlier_results_set_aside, write_results
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.commands.supervision import CRASHED, CaseLog
from REACTKDLib.core.cases.names import on_disk
from REACTKDLib.core.errors import Canceled, ReactkdError, UsageError
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.log import log_cause, log_unforeseen
from REACTKDLib.core.text import plural
from REACTKDLib.core.writing.earlier import set_aside
from REACTKDLib.core.writing.run_lock import running_alone

if TYPE_CHECKING:
    from REACTKDLib.core.cases.job import Job
    from REACTKDLib.core.reports.report import GradeReport

RESULTS = "results.csv"
HEADER = (
    "case",
    "status",
    "grade",
    "uncertain",
    "grades",
    "inputs",
    "lesions",
    "tumor_ml",
    "findings",
    "error",
    "reason",
)


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "batch",
        help="grade every case of a worklist",
        description="Grades every case of a worklist into a folder of its own and leaves results.csv with a row for "
        "each. A case that fails has a row with the reason, and the others go on. Exit status 2 only when the worklist "
        "or the model cannot be used, or no case at all could be graded.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--worklist",
        type=Path,
        required=True,
        metavar="CSV|DIR|JSON",
        help="columns case, ct, fdg, acetate, segmentation, liver, tumor; or a folder with a folder for each case; or "
        "a datalist as training reads it (.json)",
    )
    add_different_patients_argument(parser)
    add_keep_specks_argument(parser)
    add_bundle_arguments(parser)
    add_device_argument(parser)
    add_output_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Grade the worklist. Raises: ReactkdError when no case could be graded, after results.csv says why."""
    from REACTKDLib.core.cases.worklist import read_worklist

    with Progress() as progress, ExitStack() as stack:
        jobs = read_worklist(arguments.worklist)
        if arguments.different_patients_ok:
            jobs = [replace(job, different_patients_ok=True) for job in jobs]
        if arguments.keep_specks:
            jobs = [replace(job, keep_specks=True) for job in jobs]
        grader = open_grader(arguments)
        stack.enter_context(running_alone(arguments.output / RESULTS, "a batch"))
        earlier = EarlierRows(arguments.output / RESULTS, grader.bundle.classes)
        log = CaseLog.of_this_process()
        rows = [{"case": job.case, **row} for job, row in zip(jobs, log.rows())]
        if rows:
            _set_crashed_aside(rows, arguments.output)
            _write_rows(earlier.with_rows(rows), earlier.classes, arguments.output)
        for number, job in enumerate(jobs[len(rows) :], start=len(rows) + 1):
            progress.prefix = f"{number} of {len(jobs)}: "
            log.begin()
            rows.append(_graded_row(job, grader, arguments.output, progress))
            log.end(rows[-1])
            _write_rows(earlier.with_rows(rows), earlier.classes, arguments.output)
        failed = sum(row["status"] == "failed" for row in rows)
        progress.say(f"{plural(len(rows), 'case')}, {failed} failed; see {RESULTS}")
    if failed == len(rows):
        raise ReactkdError(f"None of the {plural(failed, 'case')} could be graded; {RESULTS} says why for each.")


def _graded_row(job: Job, grader: Any, output: Path, progress: Progress) -> dict[str, Any]:
    """Grade one case into its folder, whole or not at all, and return its row; only a stop goes further."""
    try:
        name = _folder_name(job.case)
        return {"case": name, **_grade(job, name, grader, output, progress)}
    except Canceled:
        raise
    except ReactkdError as error:
        log_cause(error, "a case of a batch")
        fault = (error.code, str(error))
    except MemoryError:
        fault = ("out-of-memory", "There is not enough memory for this case; use images of a smaller field.")
    except Exception as error:  # one odd case must not end a night's run
        where = log_unforeseen(error, "a case of a batch")
        name = type(error).__name__
        fault = ("unexpected", f"An unexpected fault stopped this case ({name}); please report it; {where}.")
    return {"case": job.case, "status": "failed", "error": fault[0], "reason": fault[1]}


def _set_crashed_aside(rows: list[dict[str, Any]], output: Path) -> None:
    """Move aside what an earlier run left of cases that ended the process, which could not do so itself."""
    for row in rows:
        with suppress(ReactkdError):
            if row.get("error") == CRASHED:
                set_aside(output / _folder_name(row["case"]), ALL)


def _folder_name(case: str) -> str:
    name = checked_id(case)
    if on_disk(name) == on_disk(RESULTS):
        raise UsageError(f"The case cannot be named '{RESULTS}', as the table is; give it another name.")
    return name


def _grade(job: Job, name: str, grader: Any, output: Path, progress: Progress) -> dict[str, Any]:
    from REACTKDLib.core.cases.open_job import open_job

    with earlier_results_set_aside(output / name), all_or_nothing(output / name) as folder:
        progress(0.0, "reading")
        case = open_job(job, name, task=grader.bundle.task)
        result = grader.open(case, on_progress=progress).grade()
        progress(0.95, "writing")
        write_results(result, case, folder)
    return _row_of(result.report)


def _row_of(report: GradeReport) -> dict[str, Any]:
    lesions = [region for region in report.regions if region.kind == "tumor"]
    probabilities = {f"p_{name}": f"{value:.4f}" for name, value in (report.probabilities or {}).items()}
    return {
        "status": "graded" if report.grade else "no grade",
        "grade": report.grade or "",
        "uncertain": str(bool(report.uncertain)).lower(),
        "grades": "+".join(report.grades or ()),
        "inputs": "+".join(report.inputs),
        "lesions": len(lesions),
        "tumor_ml": f"{sum(region.volume_ml or 0.0 for region in lesions):.3f}",
        "findings": " ".join(sorted({finding.code for finding in report.findings})),
        **probabilities,
    }


def _write_rows(rows: list[dict[str, Any]], classes: tuple[str, ...], output: Path) -> None:
    """Write all rows so far: a run that is stopped keeps what it did."""
    from REACTKDLib.core.writing.atomic import write_text

    columns = [*HEADER[:3], *(f"p_{name}" for name in classes), *HEADER[3:]]
    write_text(output / RESULTS, table_text([columns, *([row.get(name) for name in columns] for row in rows)]))
