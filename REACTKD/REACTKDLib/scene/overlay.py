"""The overlay: the value that region colors represent, its scale, and the color of each value."""

from __future__ import annotations

from dataclasses import dataclass

from REACTKDLib.core.reports.region_value import RegionValue
from REACTKDLib.core.reports.region_values import SHOWN, shown_values
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.scene.colors import RGB, effect_color, weight_color

VOXELS = "voxels"
_BY_KIND = {value.overlay_key: value for value in SHOWN}
_SMALLEST_LIMIT = 0.001  # a scale that ends at 0 would have no colors


@dataclass(frozen=True)
class Overlay:
    """A choice of coloring.

    kind: `overlay_key` of a value of the explanation, or "voxels", the voxel map instead of region colors. grade: the
    class, for a value per class; None for all others.
    """

    kind: str = SHOWN[0].overlay_key
    grade: str | None = None

    @property
    def key(self) -> str:
        """The choice as text, for parameter nodes."""
        return f"{self.kind}:{self.grade}" if self.grade else self.kind

    @classmethod
    def from_key(cls, key: str) -> Overlay:
        """Return the choice from its key; the default for anything else."""
        kind, _, grade = key.partition(":")
        known = kind == VOXELS or kind in _BY_KIND
        if not known or (kind != VOXELS and _BY_KIND[kind].per_class) != bool(grade):
            return cls()
        return cls(kind, grade or None)

    @property
    def value(self) -> RegionValue | None:
        """The explanation value that colors the regions; None for voxels."""
        return _BY_KIND.get(self.kind)

    @property
    def signed(self) -> bool:
        """True if values may be negative, so that the scale runs from -limit to limit."""
        return self.value is not None and self.value.signed

    @property
    def one_sided(self) -> bool:
        """True for the colors of weights, from gray to violet."""
        return self.value is not None and not self.value.signed

    def offered_by(self, report: GradeReport) -> Overlay:
        """Return this choice, or the first available one if the report has no values for it."""
        choices = overlays_for(report)
        return self if self in choices else choices[0]

    def value_of(self, row: ReportRegion) -> float | None:
        """Return the number that colors this row; None if it is not reported, and for voxels."""
        return self.value.of(row, self.grade) if self.value is not None else None

    def limit(self, report: GradeReport) -> float:
        """Return the end of the scale: the value's own fixed limit; else the largest size among lesions.

        At least 0.001.
        """
        if self.value is not None and self.value.scale is not None:
            return self.value.scale
        values = (self.value_of(row) for row in report.regions if row.kind == "tumor")
        return max([_SMALLEST_LIMIT, *(abs(value) for value in values if value)])

    def color(self, value: float | None, limit: float) -> RGB:
        """Return the color of a value on a scale that ends at `limit`."""
        return weight_color(value, limit) if self.one_sided else effect_color(value, limit)


def overlays_for(report: GradeReport | None) -> tuple[Overlay, ...]:
    """Return the choices that a report offers; without a grade, only the default."""
    if report is None or report.grade is None:
        return (Overlay(),)
    classes = tuple(report.probabilities or {})
    known = shown_values(report.regions)
    choices = (Overlay(v.overlay_key, grade) for v in known for grade in (classes if v.per_class else (None,)))
    return (*choices, Overlay(VOXELS))
