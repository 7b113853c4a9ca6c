"""The grade report: the prediction for one case and its explanation, as JSON (`reactkd-grade-report/1`) and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from REACTKDLib.core.errors import TaskNotValid
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.findings import Finding, finding_from
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.reports.ensemble import EnsembleAnswer
from REACTKDLib.core.reports.figure import draw_report
from REACTKDLib.core.reports.region_rows import PerClass, Regions, ReportRegion, region_rows, rounded
from REACTKDLib.core.reports.region_values import IN_FILES
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.writing.atomic import write_text

SCHEMA = "reactkd-grade-report/1"


@dataclass(frozen=True)
class ReportModel:
    """The model of a report. sha256: hash of its weights. clinical_use: its intended use, in words."""

    name: str
    version: str
    sha256: str
    clinical_use: str


@dataclass(frozen=True)
class GradeReport:
    """The result of grading one case; `to_dict` returns the keys of `report.schema.json`.

    grade, probabilities and baseline are None if no grade is given. edges: (i, j, cosine similarity), i < j,
    indices into `regions`. regions[i] is label i + 1 of the region map, except topology: it has no voxels, it is last.
    without_regions: probabilities without any region; adding all shares gives `probabilities`. None without a grade and
    in old reports. redundant: indices of regions of which each one alone gives the same grade.
    ensemble: the predictions of the members, if the model is an ensemble; then `probabilities` and all values of
    regions are means over the members, and baseline and contributions are None, since a mean of probabilities has no
    logits.
    grades: those that the model cannot rule out (a conformal prediction set): a fraction `grades_coverage` of cases
    like those used for calibration have their true grade among them, see `core.student.grade_sets`; None if the model
    has no such sets.
    task: the task of the model; stored in the file only if it is not the built-in one.
    """

    case: str
    grade: str | None
    probabilities: PerClass | None
    uncertain: bool
    inputs: tuple[str, ...]
    baseline: PerClass | None
    regions: tuple[ReportRegion, ...]
    edges: tuple[tuple[int, int, float], ...]
    findings: tuple[Finding, ...]
    model: ReportModel
    device: str
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    without_regions: PerClass | None = None
    redundant: tuple[int, ...] = ()
    ensemble: EnsembleAnswer | None = None
    grades: tuple[str, ...] | None = None
    grades_coverage: float | None = None
    task: Task = HCC_GRADE

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", Regions(self.regions))

    def show(self) -> Any:
        """Return a matplotlib figure: the probabilities, and each region's share of the predicted probability.

        Raises: PackagesMissing without matplotlib.

        Example:
            >>> report.show()                       # a notebook shows what a cell ends with
            >>> report.show().savefig("report.png")
        """
        return draw_report(self)

    @property
    def logits(self) -> dict[str, float] | None:
        """Baseline plus all contributions, by class; None if no grade is given, and for an ensemble."""
        if self.baseline is None:
            return None
        return {name: base + sum(r.contribution[name] for r in self.regions) for name, base in self.baseline.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        shared = {}
        if self.without_regions is not None:
            shared = {"without_regions": rounded(self.without_regions), "redundant": list(self.redundant)}
        if self.ensemble is not None:
            shared["ensemble"] = self.ensemble.to_dict()
        sets = {}
        if self.grades is not None:
            sets = {"grades": list(self.grades), "grades_coverage": rounded(self.grades_coverage)}
        return {
            "schema": SCHEMA,
            "case": self.case,
            "grade": self.grade,
            "probabilities": rounded(self.probabilities),
            "uncertain": self.uncertain,
            **sets,
            "inputs": list(self.inputs),
            "baseline": rounded(self.baseline),
            **shared,
            "regions": [region.to_dict() for region in self.regions],
            "graph": {"edges": [[i, j, rounded(similarity)] for i, j, similarity in self.edges]},
            "findings": [finding.to_dict() for finding in self.findings],
            **({} if self.task == HCC_GRADE else {"task": self.task.to_dict()}),
            "model": {f.name: getattr(self.model, f.name) for f in fields(ReportModel)},
            "device": self.device,
            "timing_ms": {name: round(float(value), 1) for name, value in self.timing_ms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GradeReport:
        """Return the report that `to_dict` wrote. Raises: ValueError if `data` is not such a report."""
        if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
            raise ValueError(f"This is not a {SCHEMA} report.")
        try:
            return cls._from_parts(data)
        except (ValueError, KeyError, TypeError, AttributeError, TaskNotValid) as error:
            raise ValueError(f"This is not a valid {SCHEMA} report ({type(error).__name__}: {error}).") from error

    @classmethod
    def _from_parts(cls, data: Mapping[str, Any]) -> GradeReport:
        return cls(
            case=data["case"],
            grade=data["grade"],
            probabilities=data["probabilities"],
            uncertain=data["uncertain"],
            inputs=tuple(data["inputs"]),
            baseline=data["baseline"],
            regions=tuple(ReportRegion.from_dict(entry) for entry in data["regions"]),
            edges=tuple((i, j, similarity) for i, j, similarity in data["graph"]["edges"]),
            findings=tuple(finding_from(entry) for entry in data["findings"]),
            model=ReportModel(**data["model"]),
            device=data["device"],
            timing_ms=dict(data["timing_ms"]),
            without_regions=data.get("without_regions"),
            redundant=tuple(data.get("redundant", ())),
            ensemble=EnsembleAnswer.from_dict(data["ensemble"]) if "ensemble" in data else None,
            grades=tuple(data["grades"]) if "grades" in data else None,
            grades_coverage=data.get("grades_coverage"),
            task=Task.from_dict(data["task"]) if "task" in data else HCC_GRADE,
        )

    def to_json(self) -> str:
        """Return the report as indented JSON; never NaN."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write_json(self, path: Path | str) -> None:
        """Write `to_json` atomically. Raises: OutputNotWritable."""
        write_text(path, self.to_json())

    def write_csv(self, path: Path | str) -> None:
        """Write one row for each region, atomically. Raises: OutputNotWritable."""
        write_text(path, regions_csv(self))

    @classmethod
    def read_json(cls, path: Path | str) -> GradeReport:
        """Read a report from a file of `write_json`. Raises: OSError; ValueError if it is not such a report."""
        return cls.from_dict(parse_json(Path(path).read_text(encoding="utf-8")))


def regions_csv(report: GradeReport) -> str:
    """Return the region table as CSV, see `region_rows`."""
    return table_text(region_rows(report.regions))


def report_schema(classes: Sequence[str] | None = None, inputs: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the report.

    Without arguments: the published file, for the three grades. A bundle with other classes or inputs gets the same
    schema with its own names.
    """
    schema = parse_json(Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8"))
    published = schema["$defs"]["region"]["properties"]
    for value in IN_FILES:  # unlisted values are allowed
        kinds = {"$ref": "#/$defs/number_per_class"} if value.per_class else {"type": "number"}
        published.setdefault(value.key, {"anyOf": [kinds, {"type": "null"}], "description": value.tip})
    if classes is not None:
        schema["$defs"]["class"] = {"enum": list(classes)}
        per_class = schema["$defs"]["number_per_class"]
        per_class["required"] = list(classes)
        per_class["properties"] = {name: {"type": "number"} for name in classes}
    if inputs is not None:
        schema["$defs"]["modality"] = {"enum": list(inputs)}
    return schema
