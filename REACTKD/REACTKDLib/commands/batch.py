"""`batch`: grade every case of a worklist, in one process or many, continuing after failures."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from REACTKDLib.commands.batch_case import KEPT, BatchCase, CaseGrader, ModelOpened
from REACTKDLib.commands.progress import Progress
from REACTKDLib.commands.result_table import ResultTable, alone_in
from REACTKDLib.commands.summary import none_graded
from REACTKDLib.core.cases.case_list import RESULTS
from REACTKDLib.core.console import SOME_FAILED
from REACTKDLib.core.engine_arguments import add_engine_arguments, engine_of
from REACTKDLib.core.errors import NothingGraded, UsageError
from REACTKDLib.core.files.tables import as_read_back
from REACTKDLib.core.job_engines import processes_can_start
from REACTKDLib.core.job_pool import JobPool
from REACTKDLib.core.progress import TimeLeft, duration, no_progress
from REACTKDLib.core.shard import Shard
from REACTKDLib.core.text import plural

if TYPE_CHECKING:
    from REACTKDLib.core.cases.job import Job
    from REACTKDLib.core.job_engines import Engine

#: no estimate for a batch shorter than this, seconds
SHORT_S = 10.0


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "batch",
        help="grade every case of a worklist",
        description="Grades every case of a worklist into its own folder and writes results.csv with a row for each. "
        "If a case fails, its row gives the reason and the others continue. A batch that is started again keeps the "
        "rows of cases whose files, options, model and program are unchanged. The exit status is 0 if no case failed "
        "and 4 if some did. It is 2, with one sentence, if all did, if the worklist, the model or the output folder "
        "cannot be used, or if a shard is empty.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--worklist",
        type=Path,
        required=True,
        metavar="CSV|XLSX|DIR|JSON",
        help="the cases: a table (.csv or .xlsx) with the columns case, ct, fdg, acetate, segmentation, organ, lesion; "
        "a folder with a folder for each case; or a datalist as for training (.json)",
    )
    add_different_patients_argument(parser)
    add_keep_specks_argument(parser)
    add_bundle_arguments(parser)
    add_device_argument(parser)
    add_output_argument(parser)
    parser.add_argument("--again", action="store_true", help="grade all cases again")
    add_engine_arguments(parser, "grade part I of N of the cases; all parts use the same --output and share one table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Grade the worklist; return the exit status. Raises: NothingGraded; results.csv then states why."""
    output, shard = arguments.output.absolute(), arguments.shard
    jobs = _jobs(arguments)
    own = shard.part(list(enumerate(jobs)))
    if not own:
        raise UsageError(
            f"The worklist has {plural(len(jobs), 'case')}, so part {shard.number} of {shard.of} is empty."
        )
    apart = arguments.apart and find_spec("joblib") is not None and processes_can_start()
    engine = engine_of(arguments, apart)
    with Progress(logged=True) as progress, alone_in(output, shard):
        work = CaseGrader(arguments.bundle, arguments.device, output, progress if engine.here else no_progress)
        progress.say(f"{plural(len(own), 'case')}; the first will tell how long they take.")
        table = _graded(jobs, own, work, engine, shard, progress, arguments.again)
    failed = sum(row["status"] == "failed" for row in table.rows)
    if failed == len(own):
        raise NothingGraded(none_graded(failed, RESULTS))
    print(_summary(table.rows))
    return SOME_FAILED if failed else 0


def _summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the summary; the rows contain the details."""
    kept = sum(KEPT in row for row in rows)
    now = Counter(row["status"] for row in rows if KEPT not in row)
    text = f"{now['graded']} of {plural(len(rows), 'case')} graded"
    if kept:
        text += f", {kept} kept from before (--again grades them too)"
    for status, words in (("no grade", "without a grade"), ("failed", "failed")):
        text += f", {now[status]} {words}" if now[status] else ""
    return f"{text}; see {RESULTS} in the output folder."


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    from REACTKDLib.core.cases.worklist import read_worklist
    from REACTKDLib.core.student.ensemble import task_of

    task = task_of(arguments.bundle[0] if arguments.bundle else None)  # for the names of columns
    jobs = read_worklist(arguments.worklist.absolute(), task)  # so that paths are valid in every process
    if arguments.different_patients_ok:
        jobs = [replace(job, different_patients_ok=True) for job in jobs]
    if arguments.keep_specks:
        jobs = [replace(job, keep_specks=True) for job in jobs]
    return jobs


def _graded(
    jobs: list[Job],
    own: list[tuple[int, Job]],
    work: CaseGrader,
    engine: Engine,
    shard: Shard,
    progress: Progress,
    again: bool,
) -> ResultTable:
    """Grade the cases `own` of the list, each with its index, and add a row for each to the table."""
    progress(0.0, "opening the model")
    with JobPool(work, engine) as pool:
        # one for each process, which then has the model ready for its first case
        opened = [found for _, found in pool.results([None] * (1 if engine.dask else engine.jobs), lost=work.lost)]
        names = [job.case for job in jobs]
        places = {job.case: place for place, job in own}
        with ResultTable(work.output, _classes(opened), names, shard).kept() as table:
            before = {} if again else table.graded_before()
            cases = [BatchCase(job, before.get(as_read_back(job.case), {})) for _, job in own]
            pace = _Pace(cases, engine.jobs, progress)
            try:
                for case, row in pool.results(cases, lost=work.lost):
                    table.add(places[case.job.case], row)
                    pace(kept=KEPT in row)
            except KeyboardInterrupt:
                if not table.rows:
                    raise
                done = f"{len(table.rows)} of {plural(len(cases), 'case')}"
                text = f"Stopped; the rows of {done} are in {RESULTS}, and the same command goes on from there."
                raise KeyboardInterrupt(text) from None
    return table


def _classes(opened: list[Any]) -> tuple[str, ...]:
    return next(tuple(found) for found in opened if isinstance(found, ModelOpened))


class _Pace:
    """Reports progress and time of a batch; kept cases do not count toward the speed."""

    def __init__(self, cases: Sequence[BatchCase], jobs: int, progress: Progress) -> None:
        self._cases, self._jobs, self._progress = len(cases), jobs, progress
        self._new = sum(not case.before for case in cases)
        if self._new < self._cases:
            progress.say(f"{self._cases - self._new} of them were graded before; those that have not changed are kept.")
        self._done = self._graded = 0
        self._left = TimeLeft()
        self._left(0.0)
        self._start = time.monotonic()

    def __call__(self, kept: bool) -> None:
        """Count a case that is done."""
        self._done += 1
        self._graded += not kept
        if not self._graded:
            self._start = time.monotonic()
        elif not kept and self._graded == self._jobs:  # the first of each process
            self._say_how_long()
        share = self._done / self._cases
        seconds = self._left(share)
        left = f", {duration(seconds)} left" if seconds else ""
        self._progress.prefix = f"{self._done} of {self._cases}{left} "
        self._progress(share)

    def _say_how_long(self) -> None:
        """Print the first estimate, from the first cases; the progress bar shows the remaining time."""
        whole = (time.monotonic() - self._start) * self._new / self._graded
        if whole > SHORT_S and self._graded < self._new:
            first = "the first" if self._graded == 1 else f"the first {self._graded}"
            self._progress.say(f"They take about {duration(whole)}, as {first} did.")
