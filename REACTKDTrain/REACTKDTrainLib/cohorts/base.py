"""A cohort as training uses it: cases that can be opened, each with a patient, an optional grade and a fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.names import confusable
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.grades import GRADES
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted

#: key of `Case.derived`: (L, 3) RAS in mm, the centers of a phantom's lesions, in the order of its ground truth
CENTERS = "lesion_centers_ras_mm"


@dataclass(frozen=True, eq=False)
class CohortCase:
    """One case of a cohort; nothing is read before `load`.

    id: unique in the cohort, free of patient data. patient: all cases of a patient stay in the same part of a split.
    grade: index into `classes`, or None. modalities: 'ct', 'fdg', 'acetate', those that `load` returns. load: opens
    images and masks; picklable, so that cases can be prepared in several processes; may raise ReactkdError.
    fingerprint: a hash of the content that `load` reads; results computed from the case are cached under it. fold: the
    test fold (from 0) that the cohort specifies. provenance: the source, for display. truth: of phantoms, {'seed': int}
    and {'latents': ten numbers} or {'shared': SharedLatents}, depending on the biology. clinical: sex, age and others
    from the clinical sheet, see `ClinicalRow`; not an input of any network. image_files: the image files or folders,
    used to recognize a scan under another name; a DICOM series is represented by one of its files.

    Raises: UsageError for a grade or modality that does not exist.
    """

    id: str
    patient: str
    grade: int | None
    modalities: tuple[str, ...]
    load: Callable[[], Case]
    fingerprint: str
    fold: int | None = None
    provenance: str = ""
    truth: Mapping[str, Any] | None = None
    clinical: Mapping[str, Any] | None = None
    classes: tuple[str, ...] = GRADES
    image_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.grade is not None and self.grade not in range(len(self.classes)):
            *before, last = (f"{n} ({name})" for n, name in enumerate(self.classes))
            raise UsageError(f"Case {self.id} has the grade {self.grade!r}; give {', '.join(before)} or {last}.")
        if not self.modalities or set(self.modalities) - set(MODALITIES):
            raise UsageError(f"Case {self.id} has the images {self.modalities}; give some of {', '.join(MODALITIES)}.")
        object.__setattr__(self, "modalities", tuple(m for m in MODALITIES if m in self.modalities))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Named collection of cases. phantom: simulated, which every result states. skipped: (case id, reason).

    task: defines the classes of the grades.
    """

    name: str
    cases: tuple[CohortCase, ...]
    phantom: bool = False
    description: str = ""
    skipped: tuple[tuple[str, str], ...] = field(default=())
    task: Task = HCC_GRADE

    def __post_init__(self) -> None:
        """Raises: UsageError for a cohort without cases, with a duplicate id, or with two spellings of a patient."""
        if not self.cases:
            raise UsageError(f"The cohort {quoted([self.name])} holds no case; check the path and what lies there.")
        ids = [case.id for case in self.cases]
        if len(set(ids)) < len(ids):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            raise UsageError(f"The cohort names {quoted(twice)} more than once; give each case an id of its own.")
        alike = confusable(case.patient for case in self.cases)
        if alike is not None:
            raise UsageError(
                f"The cohort names the patients {quoted(alike)}, which may be one; write each patient in one way, "
                "since all cases of a patient must stay together."
            )

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def graded(self) -> tuple[CohortCase, ...]:
        """Return the cases that have a grade."""
        return tuple(case for case in self.cases if case.grade is not None)

    def graded_alone(self) -> Cohort:
        """Return the cohort of the graded cases; the others are among the skipped ones, with the reason."""
        ungraded = tuple((case.id, "It has no grade.") for case in self.cases if case.grade is None)
        return replace(self, cases=self.graded, skipped=(*self.skipped, *ungraded))
