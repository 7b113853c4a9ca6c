"""Table IV: students tested on CT of another scanner, at its original dose and at lower ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.low_dose.dosed_cohort import at_dose
from REACTKDTrainLib.study.hospital import HospitalStudy
from REACTKDTrainLib.study.runs import Run
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.run_checks import check_apart

#: the doses from which 'mixed' draws one for each case
MIXED = ("native", "mild", "severe")


@dataclass(eq=False)
class ExternalStudy:
    """Students of `hospital`, tested once on the external cohort. spec: of that cohort, with whole fields of view."""

    hospital: HospitalStudy
    spec: str

    @cached_property
    def cohort(self) -> Cohort:
        """Return the graded cases with CT."""
        hospital = self.hospital
        cohort = open_cohort(self.spec, hospital.training.data.size, whole_field=True, grades=hospital.grades)
        return replace(cohort, cases=tuple(c for c in cohort.graded if "ct" in c.modalities))

    def cases(self, level: str) -> tuple[CohortCase, ...]:
        """Return the cases at a dose; 'mixed': each case at one of `MIXED`, chosen by its name."""
        folder = self.hospital.cache / "external"
        if level != "mixed":
            return at_dose(self.cohort, folder, level).cases
        by_level = {name: at_dose(self.cohort, folder, name).cases for name in MIXED}
        return tuple(by_level[mixed_level(case.id)][n] for n, case in enumerate(self.cohort.cases))

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Prepare every training case and every case at every dose once; simulates the low doses.

        Raises: SameScan for a case that is also a training case, even if its scan was saved again.
        """
        check_apart({"cohort": self.hospital.cohort, "external": self.cohort})
        self.hospital.prepare()
        cases = [case for level in self.hospital.preset.doses for case in self.cases(level)]
        self.hospital.prepare_outside(cases, on_progress)
        self.hospital.check_scans(self.cohort)

    def runs(self, rows: Sequence[str], levels: Sequence[str]) -> list[Run]:
        """Return the runs of each method's students of seed 0 at each dose."""
        out = []
        for row in self.hospital.methods(rows):
            config = self.hospital.config_of(row, 0)
            for level in levels:
                for fold in self.hospital.folds:
                    external = {"external": [case.fingerprint for case in self.cases(level)]}
                    recipe = self.hospital.recipe_of(config, fold) | external
                    make = partial(self._run, config, fold, level)
                    out.append(Run("external", f"{row}@{level}", fold, 0, recipe, make, 0.3))
        return out

    def _run(self, config: TrainingConfig, fold: int, level: str) -> dict[str, np.ndarray]:
        return self.hospital.outside_run(config, fold, self.cases(level))


def mixed_level(case_id: str) -> str:
    """Return the dose of a case in the mixed set."""
    return MIXED[int(content_key(f"mixed {case_id}")[:8], 16) % len(MIXED)]
