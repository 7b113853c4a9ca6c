"""Table IV: students on the CT of another scanner, at its own dose and at lower ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import torch

from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.low_dose.dosed_cohort import at_dose
from REACTKDTrainLib.study.answers import answers
from REACTKDTrainLib.study.runs import Run
from REACTKDTrainLib.study.volumes import VolumeStudy
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.fold_data import FoldData

#: what 'mixed' draws from, each case its own
MIXED = ("native", "mild", "severe")


@dataclass(eq=False)
class ExternalStudy:
    """Students of `volumes`, tested once on the external cohort. spec: of that cohort, with whole fields of view."""

    volumes: VolumeStudy
    spec: str
    _data: dict[tuple[str, int], FoldData] = field(default_factory=dict)

    @cached_property
    def cohort(self) -> Cohort:
        """Graded cases with CT."""
        cohort = open_cohort(self.spec, self.volumes.training.data.size, whole_field=True, grades=self.volumes.grades)
        return replace(cohort, cases=tuple(c for c in cohort.graded if "ct" in c.modalities))

    def cases(self, level: str) -> tuple[CohortCase, ...]:
        """At a dose; 'mixed': each case at one of `MIXED`, by its name."""
        folder = self.volumes.cache / "external"
        if level != "mixed":
            return at_dose(self.cohort, folder, level).cases
        by_level = {name: at_dose(self.cohort, folder, name).cases for name in MIXED}
        return tuple(by_level[mixed_level(case.id)][n] for n, case in enumerate(self.cohort.cases))

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Every case that the students learn from, and every case at every dose, once; makes the low doses."""
        self.volumes.prepare()
        cases = [case for level in self.volumes.preset.doses for case in self.cases(level)]
        self.volumes.store.prepare(cases, on_progress, self.volumes.engine)

    def runs(self, rows: Sequence[str], levels: Sequence[str]) -> list[Run]:
        """Each method's students of seed 0 at each dose."""
        out = []
        for row in rows:
            config = self.volumes.config_of(row, 0)
            for level in levels:
                for fold in self.volumes.folds:
                    recipe = self.volumes.recipe_of_teacher(fold) | {
                        "configuration": config.to_dict(),
                        "external": [case.fingerprint for case in self.cases(level)],
                    }
                    out.append(
                        Run("external", f"{row}@{level}", fold, 0, recipe, partial(self._run, config, fold, level), 0.3)
                    )
        return out

    def data(self, level: str, fold: int) -> FoldData:
        """Opened with the window of a fold."""
        if (level, fold) not in self._data:
            maker = self.volumes.base(fold).data["test"].maker
            self._data[level, fold] = FoldData(self.cases(level), self.volumes.store, maker, room_voxels=0)
        return self._data[level, fold]

    def _run(self, config: TrainingConfig, fold: int, level: str) -> dict[str, np.ndarray]:
        path = self.volumes.weights(config, fold)
        if not path.is_file():
            self.volumes.student_run(config, fold)
        student = Student(config.student)
        student.load_state_dict(torch.load(path, weights_only=True))
        data = self.data(level, fold)
        found = answers(student.to(self.volumes.device).eval(), data, (("ct",),))
        return {**VolumeStudy.names_of(data), "p_ct": found["p_ct"]}


def mixed_level(case_id: str) -> str:
    """The dose of a case in the mixed set."""
    return MIXED[int(content_key(f"mixed {case_id}")[:8], 16) % len(MIXED)]
