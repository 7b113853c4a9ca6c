"""The grade report: what one case was graded as, and what decided it, as JSON (`reactkd-grade-report/1`) and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.files.tables import table_text
from REACTKDLib.core.findings import Finding, finding_from
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.reports.measure_rows import measure_columns
from REACTKDLib.core.reports.region_values import IN_FILES
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import write_text

SCHEMA = "reactkd-grade-report/1"
# Eight decimals keep baseline + contributions = logits to 1e-6 even with a hundred regions.
_DECIMALS = 8

RegionKind = Literal["parenchyma", "tumor", "topology"]
PerClass = Mapping[str, float]
_OWN = ("weight", "contribution", "deletion_effect")  # what every report has, as attributes


@dataclass(frozen=True)
class ReportRegion:
    """One row: a region of the organ, or the topology of the lesions.

    volume_ml, centroid_ras_mm: None for topology. weight, contribution, deletion_effect: None without a claimed grade.
    deletion_effect: probability of the predicted class minus the same without this region, in [-1, 1].
    others: key -> what further files of `core/reports/values` computed, `share` among them. measures: diameter and
    uptake; None for topology, and in reports before this edition.
    """

    name: str
    kind: RegionKind
    volume_ml: float | None
    centroid_ras_mm: tuple[float, float, float] | None
    weight: float | None
    contribution: PerClass | None
    deletion_effect: float | None
    low_resolution: bool = False
    others: Mapping[str, float | PerClass | None] = field(default_factory=dict)
    measures: RegionMeasures | None = None

    @classmethod
    def with_values(
        cls,
        name: str,
        kind: RegionKind,
        volume_ml: float | None,
        centroid_ras_mm: Sequence[float] | None,
        low_resolution: bool,
        values: Mapping[str, float | PerClass | None],
        measures: RegionMeasures | None = None,
    ) -> ReportRegion:
        """Return the row with `values` by their keys; what no file of `core/reports/values` knows is left out."""
        place = None if centroid_ras_mm is None else tuple(centroid_ras_mm)
        own = (values.get(key) for key in _OWN)
        others = {value.key: values[value.key] for value in IN_FILES if value.key in values and value.key not in _OWN}
        return cls(name, kind, volume_ml, place, *own, low_resolution, others, measures)

    def value(self, key: str) -> float | PerClass | None:
        """Return the value under a key of `core/reports/values`; None where none is claimed."""
        return getattr(self, key) if key in _OWN else self.others.get(key)

    @property
    def share(self) -> float | None:
        """What the region has of the predicted class's probability; None without a claimed grade and in old reports."""
        return self.others.get("share")

    @property
    def importance(self) -> float:
        """How much the region decided: the size of its share; in an old report that of its deletion effect."""
        return abs((self.deletion_effect if self.share is None else self.share) or 0.0)


class Regions(tuple):
    """The rows of a report, in order: a tuple of `ReportRegion` that can be made a table of pandas."""

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each region and the columns of `regions.csv`.

        Raises: PackagesMissing without pandas.

        Example:
            >>> report.regions.to_dataframe().sort_values("share")
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise PackagesMissing(_("A data frame needs pandas; install it (pip install pandas).")) from error
        header, *rows = region_rows(self)
        return pandas.DataFrame(rows, columns=header)


@dataclass(frozen=True)
class ReportModel:
    """Which model answered. sha256: hash of its weights. clinical_use: what it may be used for, in words."""

    name: str
    version: str
    sha256: str
    clinical_use: str


@dataclass(frozen=True)
class GradeReport:
    """The answer for one case; `to_dict` gives the keys of `report.schema.json`.

    grade, probabilities and baseline are None where no grade is claimed. edges: (i, j, cosine similarity), i < j,
    indices into `regions`. regions[i] is label i + 1 of the region map, except topology: it has no voxels, it is last.
    without_regions: probabilities before any region speaks; with all shares they make `probabilities`. None without a
    claimed grade and in old reports. redundant: indices of regions that say the same: each alone gives the grade.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", Regions(self.regions))

    def show(self) -> Any:
        """Return a figure of matplotlib: the probabilities, and each region's share of the answer.

        Raises: PackagesMissing without matplotlib.

        Example:
            >>> report.show()                       # a notebook shows what a cell ends with
            >>> report.show().savefig("report.png")
        """
        from REACTKDLib.core.reports.figure import draw_report

        return draw_report(self)

    @property
    def logits(self) -> dict[str, float] | None:
        """Baseline plus all contributions, by class; None where no grade is claimed."""
        if self.baseline is None:
            return None
        return {name: base + sum(r.contribution[name] for r in self.regions) for name, base in self.baseline.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        shared = {}
        if self.without_regions is not None:
            shared = {"without_regions": _rounded(self.without_regions), "redundant": list(self.redundant)}
        return {
            "schema": SCHEMA,
            "case": self.case,
            "grade": self.grade,
            "probabilities": _rounded(self.probabilities),
            "uncertain": self.uncertain,
            "inputs": list(self.inputs),
            "baseline": _rounded(self.baseline),
            **shared,
            "regions": [_region_to_dict(region) for region in self.regions],
            "graph": {"edges": [[i, j, _round(similarity)] for i, j, similarity in self.edges]},
            "findings": [finding.to_dict() for finding in self.findings],
            "model": {f.name: getattr(self.model, f.name) for f in fields(ReportModel)},
            "device": self.device,
            "timing_ms": {name: round(float(value), 1) for name, value in self.timing_ms.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GradeReport:
        """Return the report that `to_dict` wrote. Raises: ValueError when `data` is not such a report."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"This is not a {SCHEMA} report.")
        return cls(
            case=data["case"],
            grade=data["grade"],
            probabilities=data["probabilities"],
            uncertain=data["uncertain"],
            inputs=tuple(data["inputs"]),
            baseline=data["baseline"],
            regions=tuple(_region_from_dict(entry) for entry in data["regions"]),
            edges=tuple((i, j, similarity) for i, j, similarity in data["graph"]["edges"]),
            findings=tuple(finding_from(entry) for entry in data["findings"]),
            model=ReportModel(**data["model"]),
            device=data["device"],
            timing_ms=dict(data["timing_ms"]),
            without_regions=data.get("without_regions"),
            redundant=tuple(data.get("redundant", ())),
        )

    def to_json(self) -> str:
        """Return the report as indented JSON; never NaN."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write_json(self, path: Path | str) -> None:
        """Write `to_json`, whole or not at all. Raises: OutputNotWritable."""
        write_text(path, self.to_json())

    def write_csv(self, path: Path | str) -> None:
        """Write one row for each region, whole or not at all. Raises: OutputNotWritable."""
        write_text(path, regions_csv(self))

    @classmethod
    def read_json(cls, path: Path | str) -> GradeReport:
        """Read what `write_json` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def regions_csv(report: GradeReport) -> str:
    """Return the region table as CSV, see `region_rows`."""
    return table_text(region_rows(report.regions))


def region_rows(regions: Sequence[ReportRegion]) -> list[list[Any]]:
    """Return a header, then one row for each region.

    label is the value in the region map (empty for topology). Columns contribution_<class> follow the model's classes;
    without a claimed grade they are left out with their values. Measures come last, see `measure_rows`.
    """
    classes = list(next((region.contribution for region in regions if region.contribution), {}))
    columns = [(value, value.column_names(classes, "_")) for value in IN_FILES]
    header = ["label", "name", "kind", "volume_ml", "centroid_r_mm", "centroid_a_mm", "centroid_s_mm"]
    measures = measure_columns(regions)
    rows = [[*header, *(name for _value, names in columns for name in names), "low_resolution", *measures]]
    for label, region in enumerate(regions, start=1):
        entry = _region_to_dict(region)
        row = ["" if region.kind == "topology" else label, entry["name"], entry["kind"], entry["volume_ml"]]
        row += entry["centroid_ras_mm"] or [None] * 3
        row += [_round(value.of(region, grade)) for value, names in columns for grade in names.values()]
        rows.append([*row, int(entry["low_resolution"]), *(values[label - 1] for values in measures.values())])
    return rows


def report_schema(classes: Sequence[str] | None = None, inputs: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the report.

    Without arguments: the published file, for the three grades. A bundle with other classes or inputs gets the same
    schema with its own names in their place.
    """
    schema = json.loads(Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8"))
    published = schema["$defs"]["region"]["properties"]
    for value in IN_FILES:  # what the file does not name may be there
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


def _region_to_dict(region: ReportRegion) -> dict[str, Any]:
    return {
        "name": region.name,
        "kind": region.kind,
        "volume_ml": None if region.volume_ml is None else round(float(region.volume_ml), 6),
        "centroid_ras_mm": None
        if region.centroid_ras_mm is None
        else [round(float(x), 2) for x in region.centroid_ras_mm],
        **{value.key: _rounded(region.value(value.key)) for value in IN_FILES if _has(region, value.key)},
        "low_resolution": bool(region.low_resolution),
        **(region.measures.to_dict() if region.measures is not None else {}),
    }


def _has(region: ReportRegion, key: str) -> bool:
    return key in _OWN or key in region.others


def _region_from_dict(entry: Mapping[str, Any]) -> ReportRegion:
    names = ("name", "kind", "volume_ml", "centroid_ras_mm", "low_resolution")
    values = {value.key: entry[value.key] for value in IN_FILES if value.key in _OWN or value.key in entry}
    return ReportRegion.with_values(*(entry[name] for name in names), values, RegionMeasures.from_dict(entry))


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DECIMALS)


def _rounded(value: float | PerClass | None) -> float | dict[str, float] | None:
    return {name: _round(number) for name, number in value.items()} if isinstance(value, Mapping) else _round(value)
