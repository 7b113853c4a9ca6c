"""Sets of grades: those that a model cannot rule out at the coverage that its metadata states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def grade_set(probabilities: Sequence[float], least: float) -> tuple[int, ...]:
    """Places of the grades that have at least this probability, in their order; the likeliest one is always there."""
    top = max(range(len(probabilities)), key=lambda n: probabilities[n])
    return tuple(n for n, p in enumerate(probabilities) if p >= least or n == top)


@dataclass(frozen=True)
class GradeSets:
    """coverage: the share of new cases whose set holds the true grade, at least. least: subset of images ('ct+fdg') ->
    the probability from which on a grade is in the set.

    Example:
        >>> GradeSets(0.9, {"ct": 0.2})((0.5, 0.3, 0.2), "ct")
        (0, 1, 2)
    """

    coverage: float
    least: Mapping[str, float]

    def __call__(self, probabilities: Sequence[float], inputs: str) -> tuple[int, ...] | None:
        """Places of the grades in the set; None for images that it was not measured for."""
        return grade_set(probabilities, self.least[inputs]) if inputs in self.least else None

    def to_metadata(self) -> dict[str, Any]:
        """As a bundle's metadata have it, under 'grade_sets'."""
        return {"coverage": self.coverage, "least": dict(self.least)}

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any]) -> GradeSets:
        """Raises: ValueError for other keys, or numbers that are no probabilities."""
        if set(values) != {"coverage", "least"} or not isinstance(values["least"], Mapping):
            raise ValueError("grade_sets needs 'coverage' and 'least'")
        numbers = [values["coverage"], *values["least"].values()]
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1 for v in numbers):
            raise ValueError("grade_sets needs numbers from 0 to 1")
        return cls(float(values["coverage"]), {str(k): float(v) for k, v in values["least"].items()})
