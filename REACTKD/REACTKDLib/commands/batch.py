"""`batch`: grade every case of a worklist, in one process or many, going on past those that fail."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import (
    add_bundle_arguments,
    add_device_argument,
    add_different_patients_argument,
    add_keep_specks_argument,
    add_output_argument,
)
from REACTKDLib.commands.batch_case import CaseGrader, ModelOpened
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.result_table import ResultTable, alone_in
from REACTKDLib.core.cases.case_list import RESULTS
from REACTKDLib.core.engine_arguments import add_engine_arguments, engine_of
from REACTKDLib.core.errors import ReactkdError, UsageError
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.progress import TimeLeft, duration, no_progress
from REACTKDLib.core.shard import Shard
from REACTKDLib.core.text import plural

if TYPE_CHECKING:
    from REACTKDLib.core.cases.job import Job
    from REACTKDLib.core.job_engines import Engine
    from REACTKDLib.core.task import Task

#: seconds of a batch that are too short to be estimated
SHORT_S = 10.0


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
        help="columns case, ct, fdg, acetate, segmentation, organ, lesion; or a folder with a folder for each case; or "
        "a datalist as training reads it (.json)",
    )
    add_different_patients_argument(parser)
    add_keep_specks_argument(parser)
    add_bundle_arguments(parser)
    add_device_argument(parser)
    add_output_argument(parser)
    add_engine_arguments(
        parser, "do part I of N of the cases; all parts take the same --output, and their rows one table"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Grade the worklist. Raises: ReactkdError when no case could be graded, after results.csv says why."""
    output, shard = arguments.output.absolute(), arguments.shard
    jobs = _jobs(arguments)
    own = shard.part(list(enumerate(jobs)))
    if not own:
        raise UsageError(
            f"The worklist has {plural(len(jobs), 'case')}, so part {shard.number} of {shard.of} is empty."
        )
    engine = engine_of(arguments, apart=arguments.apart and find_spec("joblib") is not None)
    with Progress() as progress, alone_in(output, shard):
        work = CaseGrader(arguments.bundle, arguments.device, output, progress if engine.here else no_progress)
        progress.say(f"{plural(len(own), 'case')}; the first will tell how long they take.")
        table = _graded(jobs, own, work, engine, shard, progress)
        failed = sum(row["status"] == "failed" for row in table.rows)
        progress.say(f"{plural(len(own), 'case')}, {failed} failed; see {RESULTS}")
    if failed == len(own):
        raise ReactkdError(f"None of the {plural(failed, 'case')} could be graded; {RESULTS} says why for each.")


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    from REACTKDLib.core.cases.worklist import read_worklist

    task = _task_of(arguments.bundle)
    jobs = read_worklist(arguments.worklist.absolute(), task)  # so that the paths mean the same in every process
    if arguments.different_patients_ok:
        jobs = [replace(job, different_patients_ok=True) for job in jobs]
    if arguments.keep_specks:
        jobs = [replace(job, keep_specks=True) for job in jobs]
    return jobs


def _task_of(bundles: list[Path] | None) -> Task:
    """The task of the model, for names of columns; the built-in one where it cannot be read, which is said later."""
    from REACTKDLib.core.student.bundle import METADATA, shipped_bundle_folder
    from REACTKDLib.core.student.bundle_metadata import read_metadata
    from REACTKDLib.core.task import HCC_GRADE, task_of_description

    try:
        return task_of_description(read_metadata((bundles or [shipped_bundle_folder()])[0] / METADATA)["reactkd"])
    except (ReactkdError, ValueError, KeyError, TypeError):
        return HCC_GRADE


def _graded(
    jobs: list[Job], own: list[tuple[int, Job]], work: CaseGrader, engine: Engine, shard: Shard, progress: Progress
) -> ResultTable:
    """Grade the cases `own` of the list, each with its place, and keep a row of each."""
    left = TimeLeft()
    progress(0.0, "opening the model")
    with JobPool(work, engine) as pool:
        # one for each process, which then have it ready when the first cases come
        opened = [found for _, found in pool.results([None] * (1 if engine.dask else engine.jobs), lost=work.lost)]
        names = [job.case for job in jobs]
        places = {job.case: place for place, job in own}
        with ResultTable(work.output, _classes(opened), names, shard).kept() as table:
            left(0.0)
            start = time.monotonic()
            for done, (job, row) in enumerate(pool.results([job for _, job in own], lost=work.lost), start=1):
                table.add(places[job.case], row)
                seconds = left(done / len(own))
                if done == engine.jobs:  # of each process one
                    _say_how_long(progress, time.monotonic() - start, done, len(own))
                progress.prefix = f"{done} of {len(own)}" + (f", {duration(seconds)} left" if seconds else "") + " "
                progress(done / len(own))
    return table


def _classes(opened: list[Any]) -> tuple[str, ...]:
    return next(tuple(found) for found in opened if isinstance(found, ModelOpened))


def _say_how_long(progress: Progress, seconds: float, done: int, cases: int) -> None:
    """The first estimate, of what the first cases took; the bar shows what is left."""
    whole = seconds * cases / done
    if whole > SHORT_S and done < cases:
        progress.say(f"They take about {duration(whole)}, by the first {plural(done, 'case')}.")
