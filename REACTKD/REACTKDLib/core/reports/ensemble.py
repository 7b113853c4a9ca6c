"""The predictions of the members of an ensemble, which show how well they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import pstdev
from typing import Any

from REACTKDLib.core.reports.region_rows import PerClass, rounded


@dataclass(frozen=True)
class MemberAnswer:
    """The prediction of one member. name, version, sha256: of its model."""

    name: str
    version: str
    sha256: str
    grade: str
    probabilities: PerClass


@dataclass(frozen=True)
class Spread:
    """The spread of the members' probabilities of one class.

    low, high: the smallest and the largest; sd: their standard deviation, over the members (not an estimate for
    others).
    """

    low: float
    high: float
    sd: float


@dataclass(frozen=True)
class EnsembleAnswer:
    """The members' predictions. `spread` describes their differences for each class.

    Example:
        >>> report.ensemble.spread["poor"].low, report.ensemble.agreeing(report.grade)
        (0.61, 2)
    """

    members: tuple[MemberAnswer, ...]

    @property
    def spread(self) -> dict[str, Spread]:
        """Class -> spread of the members' probabilities."""
        found = {}
        for name in self.members[0].probabilities:
            values = [member.probabilities[name] for member in self.members]
            found[name] = Spread(min(values), max(values), pstdev(values))
        return found

    def agreeing(self, grade: str) -> int:
        """Return the number of members for which `grade` is the most probable."""
        return sum(member.grade == grade for member in self.members)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        members = [{**vars(member), "probabilities": rounded(member.probabilities)} for member in self.members]
        spread = EnsembleAnswer.from_dict({"members": members}).spread  # of the rounded numbers in the file
        return {"members": members, "spread": {name: rounded(vars(found)) for name, found in spread.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EnsembleAnswer:
        """Return the predictions from the form of `to_dict`. Raises: KeyError, TypeError."""
        return cls(tuple(MemberAnswer(**entry) for entry in data["members"]))
