"""What a look at a folder of data found: the cases, and a line for every problem."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from REACTKDTrainLib.cohorts.base import GRADES, CohortCase

#: problems that leave a case out; all others are told and lived with
LEAVES_OUT = (
    "no-labels",
    "no-image",
    "no-pet",
    "no-segmentation",
    "unreadable",
    "no-overlap",
    "ambiguous",
    "ungraded",
)


@dataclass(frozen=True)
class Problem:
    """case: its id, or '' for the folder as a whole. code: stable. message: one sentence."""

    case: str
    code: str
    message: str


@dataclass(frozen=True, eq=False)
class Survey:
    """kind: of the layout, for people. cases: those that can be opened. clinical: case id -> what the sheet says."""

    kind: str
    cases: tuple[CohortCase, ...]
    problems: tuple[Problem, ...] = ()
    clinical: dict[str, dict] = field(default_factory=dict)

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """(case, reason) of those that were left out."""
        return tuple((p.case, p.message) for p in self.problems if p.code in LEAVES_OUT)

    def lines(self) -> list[str]:
        """The survey as text: the layout, counts, then a line per problem."""
        grades = Counter("no grade" if c.grade is None else GRADES[c.grade] for c in self.cases)
        images = Counter("+".join(c.modalities) for c in self.cases)
        patients = len({c.patient for c in self.cases})
        told = [
            f"{self.kind}: {len(self.cases)} cases of {patients} patients",
            "grades: " + ", ".join(f"{grades[g]} {g}" for g in (*GRADES, "no grade") if grades[g]),
            "images: " + ", ".join(f"{n} {m}" for m, n in sorted(images.items())),
        ]
        return told + [f"{p.case or 'folder'}: {p.code}: {p.message}" for p in self.problems]
