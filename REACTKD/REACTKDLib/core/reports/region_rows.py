"""The rows of a report: a region of the organ, or the topology of the lesions, with its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from REACTKDLib.core.errors import PackagesMissing
from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.reports.measure_rows import measure_columns
from REACTKDLib.core.reports.region_values import IN_FILES
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

# Eight decimals keep baseline + contributions = logits to 1e-6 even with a hundred regions.
_DECIMALS = 8

RegionKind = Literal["parenchyma", "tumor", "topology"]
PerClass = Mapping[str, float]
_OWN = ("weight", "contribution", "deletion_effect")  # values in every report, as attributes


@dataclass(frozen=True)
class ReportRegion:
    """One row: a region of the organ, or the topology of the lesions.

    volume_ml, centroid_ras_mm: None for topology. weight, contribution, deletion_effect: None if no grade is given;
    contribution also for an ensemble, which has no logits. deletion_effect: probability of the predicted class minus
    the same without this region, in [-1, 1]. others: key -> value computed by the other files of `core/reports/values`,
    including `share`. measures: diameter and uptake; None for topology, and in reports before this edition.
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
        """Return the row with `values` by their keys; unknown keys are left out."""
        place = None if centroid_ras_mm is None else tuple(centroid_ras_mm)
        own = (values.get(key) for key in _OWN)
        others = {value.key: values[value.key] for value in IN_FILES if value.key in values and value.key not in _OWN}
        return cls(name, kind, volume_ml, place, *own, low_resolution, others, measures)

    def value(self, key: str) -> float | PerClass | None:
        """Return the value under a key of `core/reports/values`; None if it is not reported."""
        return getattr(self, key) if key in _OWN else self.others.get(key)

    @property
    def share(self) -> float | None:
        """The share of the region in the predicted class's probability; None if no grade is given, and in old
        reports.
        """
        return self.others.get("share")

    @property
    def importance(self) -> float:
        """The influence of the region: the size of its share; in an old report, of its deletion effect."""
        return abs((self.deletion_effect if self.share is None else self.share) or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        place = self.centroid_ras_mm
        return {
            "name": self.name,
            "kind": self.kind,
            "volume_ml": None if self.volume_ml is None else round(float(self.volume_ml), 6),
            "centroid_ras_mm": None if place is None else [round(float(x), 2) for x in place],
            **{value.key: rounded(self.value(value.key)) for value in IN_FILES if self._has(value.key)},
            "low_resolution": bool(self.low_resolution),
            **(self.measures.to_dict() if self.measures is not None else {}),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> ReportRegion:
        """Return the row from the form of `to_dict`; values of removed files are left out. Raises: KeyError."""
        names = ("name", "kind", "volume_ml", "centroid_ras_mm", "low_resolution")
        values = {value.key: entry[value.key] for value in IN_FILES if value.key in _OWN or value.key in entry}
        return cls.with_values(*(entry[name] for name in names), values, RegionMeasures.from_dict(entry))

    def _has(self, key: str) -> bool:
        return key in _OWN or key in self.others


class Regions(tuple):
    """The rows of a report, in order: a tuple of `ReportRegion` that can be converted to a pandas table."""

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


class Answer(Protocol):
    """The part of a report that words and figures need."""

    case: str
    grade: str | None
    probabilities: PerClass | None
    uncertain: bool
    regions: Sequence[ReportRegion]
    without_regions: PerClass | None
    redundant: Sequence[int]
    model: Any
    ensemble: Any
    task: Task


def region_rows(regions: Sequence[ReportRegion]) -> list[list[Any]]:
    """Return a header, then one row for each region.

    label is the value in the region map (empty for topology). Columns contribution_<class> follow the model's classes;
    if no grade is given, these columns are left out. Measurements come last, see `measure_columns`. Volumes and places
    are rounded to a microliter and a tenth of a millimeter: the JSON, which is read back, keeps more.
    """
    values = (region.value(value.key) for region in regions for value in IN_FILES if value.per_class)
    classes = list(next(filter(None, values), {}))
    columns = [(value, value.column_names(classes, "_")) for value in IN_FILES]
    header = ["label", "name", "kind", "volume_ml", "centroid_r_mm", "centroid_a_mm", "centroid_s_mm"]
    measures = measure_columns(regions)
    rows = [[*header, *(name for _value, names in columns for name in names), "low_resolution", *measures]]
    for label, region in enumerate(regions, start=1):
        volume, place = region.volume_ml, region.centroid_ras_mm
        row = ["" if region.kind == "topology" else label, region.name, region.kind]
        row += [None if volume is None else round(float(volume), 3)]
        row += [None] * 3 if place is None else [round(float(x), 1) for x in place]
        row += [rounded(value.of(region, grade)) for value, names in columns for grade in names.values()]
        rows.append([*row, int(region.low_resolution), *(values[label - 1] for values in measures.values())])
    return rows


def rounded(value: float | PerClass | None) -> float | dict[str, float] | None:
    """Return a number, or one for each class, with the decimals of reports."""
    if isinstance(value, Mapping):
        return {name: rounded(number) for name, number in value.items()}
    return None if value is None else round(float(value), _DECIMALS)
