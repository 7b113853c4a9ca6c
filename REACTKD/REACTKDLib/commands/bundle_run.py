"""The evaluator that `configs/inference.json` of a model folder runs: grades every case of a datalist, like `grade`.

The configuration refers to this class, and bundles are shared: its name and arguments must not change.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from REACTKDLib.commands.arguments import folder_name
from REACTKDLib.commands.results import earlier_results_set_aside, write_results
from REACTKDLib.commands.staging import all_or_nothing
from REACTKDLib.commands.summary import none_graded
from REACTKDLib.core.errors import NothingGraded, ReactkdError
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.log import log_cause, log_unforeseen
from REACTKDLib.core.text import without_folders
from REACTKDLib.core.writing.atomic import write_text

if TYPE_CHECKING:
    from REACTKDLib.core.grading.grader import Grader
    from REACTKDLib.core.images.case import Case
    from REACTKDLib.core.reports.report import GradeReport

PREDICTIONS = "predictions.csv"
_WHAT = "a case of a bundle's run"


class DatalistEvaluator:
    """Grades the cases of a dataset into folders, and writes `predictions.csv` with a row for each.

    Args:
        dataset: a `monai.data.Dataset` whose `data` are the jobs of a list (`read_worklist`) and whose items are cases
            (`open_job`).
        inferer: the model, from `REACTKDLib.load_model`.
        output_dir: folder for the table, and for a folder of each case with the files of `grade`.

    Example:
        >>> python -m monai.bundle run --config_file configs/inference.json --datalist cases.json
    """

    def __init__(self, dataset: Any, inferer: Grader, output_dir: str | Path):
        self.dataset, self.inferer, self.output_dir = dataset, inferer, Path(output_dir)

    def run(self) -> list[GradeReport | None]:
        """Grade every case, continuing after failures, which the rows explain. Returns None in place of their reports.

        Raises: NothingGraded if no case could be graded, after the table is written; OutputNotWritable.
        """
        reports: list[GradeReport | None] = []
        rows = []
        for index, job in enumerate(self.dataset.data):
            report, reason = None, ""
            try:
                report = self._grade(index, folder_name(job.case, PREDICTIONS))
            except ReactkdError as error:
                log_cause(error, _WHAT)
                reason = without_folders(error.message, self.output_dir.absolute())
            except Exception as error:  # one unusual case must not end a long run
                where = without_folders(log_unforeseen(error, _WHAT), self.output_dir.absolute())
                reason = f"An unexpected fault stopped this case; please report it; {where}."
            reports.append(report)
            rows.append(self._row(job.case, report, reason))
        columns = ["case", "grade", *(f"p_{name}" for name in self.inferer.bundle.classes), "uncertain", "reason"]
        write_text(self.output_dir / PREDICTIONS, table_text([columns, *rows]))
        if reports and not any(reports):
            raise NothingGraded(none_graded(len(reports), PREDICTIONS))
        return reports

    def _grade(self, index: int, name: str) -> GradeReport:
        with earlier_results_set_aside(self.output_dir / name), all_or_nothing(self.output_dir / name) as folder:
            case = self._case(index)
            result = self.inferer.open(case).grade()
            write_results(result, case, folder)
        return result.report

    def _case(self, index: int) -> Case:
        try:
            return self.dataset[index]
        except RuntimeError as error:  # MONAI wraps the error of a transform
            raise error.__cause__ or error from None

    def _row(self, case: str, report: GradeReport | None, reason: str) -> list[Any]:
        classes = self.inferer.bundle.classes
        if report is None or report.probabilities is None:
            return [case, "", *[""] * len(classes), "", reason or "No grade is claimed."]
        shares = [f"{report.probabilities[name]:.6f}" for name in classes]
        return [case, report.grade, *shares, str(report.uncertain).lower(), reason]
