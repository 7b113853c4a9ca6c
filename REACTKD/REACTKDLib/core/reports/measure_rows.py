"""The measurements of a region as named rows, shared by panel, table node, page and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from REACTKDLib.core.masks.measures import RegionMeasures
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import Text
from REACTKDLib.core.text import tr as _

_PETS = MappingProxyType({Modality.FDG.value: _("FDG"), Modality.ACETATE.value: _("Acetate")})
_DIAMETER = "longest_axial_diameter_mm"
#: key of a value of `RegionUptake`: (name, unit, decimals, description)
_UPTAKE = {
    "suv_max": (_("{image} SUVmax"), "g/ml", 1, _("The largest value in the region.")),
    "suv_mean": (
        _("{image} SUVmean"),
        "g/ml",
        1,
        _("The mean value in a lesion. Of the {organ}: the mean between its quartiles, 3 mm away from lesions."),
    ),
    "suv_peak": (
        _("{image} SUVpeak"),
        "g/ml",
        1,
        _("The largest mean in a sphere of 1 ml around a voxel of the lesion; not given for lesions under 1 ml."),
    ),
    "to_liver": (
        _("{image} {lesion}/{organ}"),
        "",
        2,
        _("The lesion's largest value over the mean of the {organ}."),
    ),
}


class HasMeasures(Protocol):
    """A row of a report."""

    measures: RegionMeasures | None


@dataclass(frozen=True)
class MeasureRow:
    """One number of one region.

    key: "fdg_suv_max", its column in CSV and table node. kind: "suv_max", the same for every image. name, tip: for
    display. value: None if it is not reported. unit: for display, empty for a plain number. decimals: for display.
    inferred: the PET's unit is inferred, not stated.
    """

    key: str
    name: Text
    value: float | None
    unit: str
    decimals: int
    tip: Text
    inferred: bool = False
    kind: str = _DIAMETER

    @property
    def shown(self) -> str:
        """The value with its unit, as "5.3 g/ml"; empty if it is not reported."""
        if self.value is None:
            return ""
        number = f"{self.value:.{self.decimals}f}"
        return f"{number} {self.unit}" if self.unit else number


def measure_rows(region: HasMeasures, task: Task = HCC_GRADE) -> tuple[MeasureRow, ...]:
    """Return every reported measurement of a region: the diameter, then those of each PET.

    Example:
        >>> for row in measure_rows(report.regions[1]):
        ...     print(row.name, row.shown)
        Longest axial diameter 34 mm
        FDG SUVmax 7.1 g/ml
    """
    return tuple(row for row in _all(region.measures, task) if row.value is not None)


def measure_columns(regions: Sequence[HasMeasures]) -> dict[str, list[float | None]]:
    """Return {key: one value for each region} of every measurement that any region has.

    Values have one decimal more than on the screen: a tenth of a millimeter, a hundredth of an SUV.
    """
    rows = [{row.key: round(row.value, row.decimals + 1) for row in measure_rows(region)} for region in regions]
    keys = [row.key for region in regions for row in _all(region.measures, HCC_GRADE)]
    return {key: [row.get(key) for row in rows] for key in dict.fromkeys(keys) if any(key in row for row in rows)}


def measure_titles(regions: Sequence[HasMeasures], task: Task = HCC_GRADE) -> dict[str, MeasureRow]:
    """Return {key: a row with its name, unit and decimals} in the order of `measure_columns`, in words of the task."""
    rows = {row.key: row for region in regions for row in measure_rows(region, task)}
    return {key: rows[key] for key in measure_columns(regions)}


def _all(measures: RegionMeasures | None, task: Task) -> list[MeasureRow]:
    if measures is None:
        return []
    tip = _("The longest line in one axial slice, as in RECIST 1.1.")
    rows = [MeasureRow(_DIAMETER, _("Longest axial diameter"), measures.longest_axial_diameter_mm, "mm", 0, tip)]
    for image, entry in measures.uptake.items():
        for key, (name, unit, decimals, says) in _UPTAKE.items():
            words = {"image": _PETS.get(image, image), "lesion": task.lesion.name, "organ": task.organ.name}
            name, says, value = name.format(**words), says.format(**words), getattr(entry, key)
            rows.append(MeasureRow(f"{image}_{key}", name, value, unit, decimals, says, entry.unit_inferred, key))
    return rows
