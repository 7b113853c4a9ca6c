"""Sets of grades (conformal prediction sets) with the coverage that the model's metadata state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def grade_set(probabilities: Sequence[float], least: float) -> tuple[int, ...]:
    """Return the indices of the grades with at least this probability, in order; the most probable grade is always
    included.
    """
    top = max(range(len(probabilities)), key=lambda n: probabilities[n])
    return tuple(n for n, p in enumerate(probabilities) if p >= least or n == top)


@dataclass(frozen=True)
class GradeSets:
    """Thresholds of the sets of grades.

    coverage: the least fraction of new cases whose set contains the true grade. least: subset of images ('ct+fdg') ->
    the least probability of a grade in the set.

    Example:
        >>> GradeSets(0.9, {"ct": 0.2})((0.5, 0.3, 0.2), "ct")
        (0, 1, 2)
    """

    coverage: float
    least: Mapping[str, float]

    def __call__(self, probabilities: Sequence[float], inputs: str) -> tuple[int, ...] | None:
        """Return the indices of the grades in the set; None for a combination of images without a threshold."""
        return grade_set(probabilities, self.least[inputs]) if inputs in self.least else None

    def to_metadata(self) -> dict[str, Any]:
        """Return the form used in a bundle's metadata, under 'grade_sets'."""
        return {"coverage": self.coverage, "least": dict(self.least)}

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any]) -> GradeSets:
        """Build from the form of `to_metadata`.

        Raises: ValueError for other keys or for numbers that are not probabilities.
        """
        if set(values) != {"coverage", "least"} or not isinstance(values["least"], Mapping):
            raise ValueError("grade_sets needs 'coverage' and 'least'")
        numbers = [values["coverage"], *values["least"].values()]
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1 for v in numbers):
            raise ValueError("grade_sets needs numbers from 0 to 1")
        return cls(float(values["coverage"]), {str(k): float(v) for k, v in values["least"].items()})
