"""What the colors of the regions stand for: a value of each region, the scale it is drawn on, and the color of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.scene.colors import RGB, effect_color, weight_color

Kind = Literal["effect", "weight", "contribution", "voxels"]
KINDS: tuple[Kind, ...] = ("effect", "weight", "contribution", "voxels")
_SMALLEST_LIMIT = 0.001  # a scale that ends at 0 would have no colors


@dataclass(frozen=True)
class Overlay:
    """One choice of colors. grade: the class whose logit the contributions go to; None for the other kinds.

    effect: deletion effect on the predicted grade. weight: attention. voxels: the voxel map instead of region colors.
    """

    kind: Kind = "effect"
    grade: str | None = None

    @property
    def key(self) -> str:
        """The choice as text, for parameter nodes."""
        return f"{self.kind}:{self.grade}" if self.grade else self.kind

    @classmethod
    def from_key(cls, key: str) -> Overlay:
        """Return the choice that `key` wrote; the default for anything else."""
        kind, _, grade = key.partition(":")
        if kind not in KINDS or (kind == "contribution") != bool(grade):
            return cls()
        return cls(kind, grade or None)

    @property
    def signed(self) -> bool:
        """True when values may be negative, so that the scale runs from -limit to limit."""
        return self.kind in ("effect", "contribution")

    def value_of(self, row: ReportRegion) -> float | None:
        """Return the number that colors this row; None where none is claimed, and for voxels."""
        if self.kind == "effect":
            return row.deletion_effect
        if self.kind == "weight":
            return row.weight
        return row.contribution.get(self.grade) if self.kind == "contribution" and row.contribution else None

    def limit(self, report: GradeReport) -> float:
        """Return the end of the scale: the largest size of a lesion's value, at least 0.001."""
        values = (self.value_of(row) for row in report.regions if row.kind == "tumor")
        return max([_SMALLEST_LIMIT, *(abs(value) for value in values if value)])

    def color(self, value: float | None, limit: float) -> RGB:
        """Return the color of a value on a scale that ends at `limit`."""
        return effect_color(value, limit) if self.signed or self.kind == "voxels" else weight_color(value, limit)


def overlays_for(report: GradeReport | None) -> tuple[Overlay, ...]:
    """Return the choices that a report offers: without a grade there is nothing to color by but the default."""
    if report is None or report.grade is None:
        return (Overlay(),)
    contributions = (Overlay("contribution", grade) for grade in report.baseline or {})
    return (Overlay("effect"), Overlay("weight"), *contributions, Overlay("voxels"))
