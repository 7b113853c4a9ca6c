"""Processes one case of a batch, in any process: grades it into its own folder, and returns its row of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib import __version__
from REACTKDLib.commands.arguments import folder_name
from REACTKDLib.commands.results import ALL, REPORT, WRITTEN, earlier_results_set_aside, write_results
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.core.cases.case_list import RESULTS
from REACTKDLib.core.cases.job_fingerprint import job_fingerprint
from REACTKDLib.core.errors import Canceled, ReactkdError
from REACTKDLib.core.job_pool import WorkerLost
from REACTKDLib.core.log import log_cause, log_unforeseen
from REACTKDLib.core.memory import lacks_memory, out_of_memory
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.text import without_folders
from REACTKDLib.core.writing.earlier import set_aside
from REACTKDLib.core.writing.replacing import recover

if TYPE_CHECKING:
    from REACTKDLib.core.cases.job import Job
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.reports.report import GradeReport

CRASHED = "case-crashed"
#: marks a row of an earlier batch that is still valid; not written to the table
KEPT = "kept"
_P_DECIMALS = 4


class ModelOpened(tuple):
    """The classes of the model that a process has loaded; the result of `CaseGrader` without a case."""


@dataclass(frozen=True)
class BatchCase:
    """One case to process. before: its row of an earlier batch; empty without one, or to grade it again."""

    job: Job
    before: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CaseGrader:
    """The work of a batch. bundle: folders of models, None for the shipped one; output: of the batch.

    The model is loaded with the first case, once per process.
    """

    bundle: Sequence[Path] | None
    device: str
    output: Path
    on_progress: OnProgress = no_progress

    @cached_property
    def grader(self) -> Grader:
        """Return the grader, loading the model if necessary. Raises: the errors of bundles."""
        from REACTKDLib.commands.grade import grader_of

        return grader_of(self.bundle, self.device)

    @cached_property
    def described(self) -> tuple[str, ...]:
        """What a result depends on besides the case: this program, and the full description of the models."""
        bundle = self.grader.bundle
        members = getattr(bundle, "members", (bundle,))
        return (__version__, *(json.dumps(member.metadata, sort_keys=True, default=str) for member in members))

    def __call__(self, case: BatchCase | None) -> dict[str, Any] | ModelOpened:
        """Grade a case atomically, and return its row; only a stop is raised. None: load the model.

        The earlier row is returned, as `KEPT`, if files, options, model and program are unchanged and its results still
        exist.

        Raises: Canceled; without a case the errors of bundles.
        """
        if case is None:
            return ModelOpened(self.grader.bundle.classes)
        job = case.job
        try:
            name = folder_name(job.case, RESULTS)
            fingerprint = job_fingerprint(job, *self.described)  # before reading, to detect changes
            if case.before and case.before.get("fingerprint") == fingerprint and self._holds(case.before, name):
                return {**case.before, "case": name, KEPT: True}
            return {"case": name, **self._grade(job, name), "fingerprint": fingerprint}
        except Canceled:
            raise
        except Exception as error:  # one unusual case must not end a long run
            fault = self._fault_of(error)
        return {"case": job.case, "status": "failed", "error": fault[0], "reason": fault[1]}

    def _fault_of(self, error: Exception) -> tuple[str, str]:
        """Return code and reason of a case that failed."""
        if lacks_memory(error):
            error = out_of_memory()
        if isinstance(error, ReactkdError):
            log_cause(error, "a case of a batch")
            return error.code, without_folders(error.message, self.output)
        where = without_folders(log_unforeseen(error, "a case of a batch"), self.output)
        name = type(error).__name__
        return "unexpected", f"An unexpected fault stopped this case ({name}); please report it; {where}."

    def lost(self, case: BatchCase | None) -> dict[str, Any]:
        """Return the row of a case that ended its process twice, and clean up after it.

        Raises: WorkerLost if the model was the cause.
        """
        if case is None:
            raise WorkerLost("The grading process ended by itself; free some memory, or install the packages again.")
        try:
            folder = self.output / folder_name(case.job.case, RESULTS)
            recover(self.output)
            recover(folder)
            set_aside(folder, ALL)
        except ReactkdError:  # it has no folder
            pass
        return {
            "case": case.job.case,
            "status": "failed",
            "error": CRASHED,
            "reason": "The process ended while it worked on this case, for lack of memory or by a damaged file; try "
            "the case alone, and report it if it stays.",
        }

    def _holds(self, row: Mapping[str, str], name: str) -> bool:
        """Return True if the results of a row exist and nothing was graded into their folder since."""
        from REACTKDLib.core.reports.report import GradeReport

        folder = self.output / name
        if not all((folder / file).is_file() for file in WRITTEN):
            return False
        try:
            report = GradeReport.read_json(folder / REPORT)
            found = _row_of(report)
            apart = [abs(float(row[f"p_{key}"]) - p) for key, p in (report.probabilities or {}).items()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        same = all(row.get(key) == str(found[key]) for key in ("status", "grade", "inputs", "lesions", "findings"))
        same = same and report.model.sha256 == self.grader.bundle.info["sha256"]
        return same and all(d < 10**-_P_DECIMALS for d in apart)

    def _grade(self, job: Job, name: str) -> dict[str, Any]:
        from REACTKDLib.core.cases.open_job import open_job

        with earlier_results_set_aside(self.output / name), all_or_nothing(self.output / name) as folder:
            self.on_progress(0.0, f"{name}: reading")
            case = open_job(job, name, task=self.grader.bundle.task)
            result = self.grader.open(case, on_progress=self.on_progress).grade()
            self.on_progress(0.95, f"{name}: writing")
            write_results(result, case, folder)
        return _row_of(result.report)


def _row_of(report: GradeReport) -> dict[str, Any]:
    lesions = [region for region in report.regions if region.kind == "tumor"]
    probabilities = {f"p_{name}": f"{value:.{_P_DECIMALS}f}" for name, value in (report.probabilities or {}).items()}
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
