"""Result of the survey of a data folder: the cases, and one line for every problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from REACTKDLib.core.text import plural
from REACTKDTrainLib.cohorts.base import CohortCase

#: problems that exclude a case; all others are only reported
LEAVES_OUT = (
    "no-labels",
    "no-image",
    "no-pet",
    "no-segmentation",
    "unreadable",
    "no-overlap",
    "ambiguous",
    "ungraded",
    "grade-unknown",
    "grade-without-lesion",
    "two-grades",
    "several-segmentations",
)


@dataclass(frozen=True)
class Problem:
    """case: its id, or '' for the folder as a whole. code: stable identifier. message: one sentence."""

    case: str
    code: str
    message: str


def against_header(found: Sequence[str]) -> str:
    """Return the message for the findings of `content.disagreements`."""
    return f"By the header {' and '.join(found)}: the orientation may be stated wrongly; look at the case."


@dataclass(frozen=True, eq=False)
class Survey:
    """kind: of the layout, for display. cases: those that can be opened. clinical: patient -> data of the sheet, if it
    has a row for each patient; data of a single case are in its own `clinical`.
    """

    kind: str
    cases: tuple[CohortCase, ...]
    problems: tuple[Problem, ...] = ()
    clinical: dict[str, dict] = field(default_factory=dict)

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Return (case, reason) of the excluded cases."""
        return tuple((p.case, p.message) for p in self.problems if p.case and p.code in LEAVES_OUT)

    def lines(self) -> list[str]:
        """Return the survey as text: the layout, counts, then one line per problem: of the cases left out first."""
        patients = len({c.patient for c in self.cases})
        lines = [f"{self.kind}: {plural(len(self.cases), 'case')} of {plural(patients, 'patient')}"]
        if self.cases:
            grades = Counter("without a grade" if c.grade is None else c.classes[c.grade] for c in self.cases)
            images = Counter("+".join(c.modalities) for c in self.cases)
            lines.append(
                "grades: "
                + ", ".join(f"{grades[g]} {g}" for g in (*self.cases[0].classes, "without a grade") if grades[g])
            )
            lines.append("images: " + ", ".join(f"{n} {m}" for m, n in sorted(images.items())))
        out = [p for p in self.problems if p.case and p.code in LEAVES_OUT]
        remarks = [p for p in self.problems if not (p.case and p.code in LEAVES_OUT)]
        if self.problems:
            cases = plural(len({p.case for p in out}), "case")
            lines.append(f"{cases} left out, {plural(len(remarks), 'remark')}:")
        # A case that is left out must be found among hundreds of remarks, of which open cases may have several each.
        return lines + [f"{p.case or 'folder'}: {p.code}: {p.message}" for p in (*out, *remarks)]
