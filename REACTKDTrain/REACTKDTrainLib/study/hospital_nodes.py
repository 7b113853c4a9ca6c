"""The hospital size on node vectors: the same folds and rows, with heads trained on node vectors at 2.5 mm.

97 patients are too few to train an encoder on CT: at 5 mm the student alone reaches an AUC of 0.56, and if nothing is
learned, no method can help. Fixed vectors therefore replace the encoder, and students are first pretrained on patients
without a grade to predict the latent variables of lesions, the same for all methods (docs/decisions/0117).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import INPUTS, MODALITIES, subset_name
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.open_cohort import open_cohort
from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.case import PreparedCase
from REACTKDTrainLib.distillation.distiller import make_distiller
from REACTKDTrainLib.nodes.node_store import NodeStore
from REACTKDTrainLib.nodes.pretrain import fitted_to, pretrained_student
from REACTKDTrainLib.nodes.table import NodeTable
from REACTKDTrainLib.nodes.teacher import NodeTeacher, targets_of
from REACTKDTrainLib.nodes.train import predict, train_student, train_teacher
from REACTKDTrainLib.study.answers import node_answers
from REACTKDTrainLib.study.hospital import HospitalStudy, names_of
from REACTKDTrainLib.study.nodes import HIDDEN
from REACTKDTrainLib.study.presets import HospitalNodesConfig
from REACTKDTrainLib.training.config import TrainingConfig
from REACTKDTrainLib.training.preparation import prepare_cases
from REACTKDTrainLib.training.randomness import seeded


@dataclass(eq=False)
class HospitalNodes(HospitalStudy):
    """Heads trained on node vectors; methods that compare whole maps are not possible.

    A student that is tested was trained on its whole training fold, since nothing is chosen on the validation part. The
    temperature is fitted on that part with a student, and a teacher, trained without it.
    """

    PARTS: ClassVar = {"node": "node term", "edge": "edge term", "gw": "Gromov-Wasserstein term"}
    _teachers: dict[tuple[int, bool], NodeTeacher] = field(default_factory=dict)
    _students: dict[str, Student] = field(default_factory=dict)

    @property
    def config(self) -> HospitalNodesConfig:
        """Return the training settings of the heads."""
        return self.preset.hospital_nodes

    @cached_property
    def store(self) -> NodeStore:
        """Return the store of node files, the same as for the other experiments on node vectors."""
        return self._store(self.training.data.mask_variants)

    def _store(self, variants: int) -> NodeStore:
        return NodeStore.without_encoder(self.cache / "nodes", self.training.data.size, variants)

    @cached_property
    def unlabeled(self) -> tuple[CohortCase, ...]:
        """Return phantoms without a grade, for a cohort of phantoms; for patients the latent variables are unknown."""
        if not (self.cohort.phantom and self.config.unlabeled):
            return ()
        biology = "shared" if "shared" in self.cohort.cases[0].truth else "independent"
        size = self.training.data.size
        return open_cohort(f"phantom:unlabeled?cases={self.config.unlabeled}&size={size}&biology={biology}", size).cases

    def prepare(self, on_progress: OnProgress = no_progress) -> None:
        """Compute node vectors of every case. Raises: UsageError for a case that lacks an image; SameScan."""
        for case in self.cohort.cases:
            lacking = [m for m in MODALITIES if m not in case.modalities]
            if lacking:
                raise UsageError(
                    f"Case {case.id} has no {lacking[0]}; with this preset every case needs CT and both PETs. "
                    "Leave such cases out, or take --preset gpu."
                )
        self._prepare([*self.cohort.cases, *self.unlabeled], self.store, on_progress)
        self.check_scans()

    def prepare_outside(self, cases: Sequence[CohortCase], on_progress: OnProgress = no_progress) -> None:
        self._prepare(cases, self._store(0), on_progress)

    def scans(self, case: CohortCase) -> Mapping[str, str]:
        return self.store.scans(case) or self._store(0).scans(case)

    def _prepare(self, cases: Sequence[CohortCase], store: NodeStore, on_progress: OnProgress) -> None:
        missing = {path: case for case in cases if not (path := store.path(case)).exists()}
        prepare_cases(list(missing.values()), store.make, self.engine, on_progress)

    def prepared(self, case: CohortCase) -> PreparedCase:
        return self.store.prepared.make(case)

    def without(self, config: TrainingConfig, parts: Collection[str]) -> TrainingConfig:
        """See `HospitalStudy.without`; without all parts, only logits remain."""
        return replace(config, distillation=replace(config.distillation, **dict.fromkeys(parts, 0.0)))

    def methods(self, names: Sequence[str]) -> list[str]:
        """Return the methods that compare logits, embeddings or graphs, not maps."""
        return [m for m in names if not make_distiller(m, self.training.distillation, 1, 1).needs_maps]

    @property
    def ablation_seeds(self) -> Sequence[int]:
        """Return as many seeds as for other rows, because a training takes seconds."""
        return range(self.preset.seeds)

    # -- folds

    @cached_property
    def table(self) -> NodeTable:
        """Return the table of the whole cohort."""
        return NodeTable.of([self.store.get(case) for case in self.cohort.cases])

    def part(self, cases: Sequence[CohortCase]) -> NodeTable:
        """Return the table of some of its cases."""
        place = {case.id: n for n, case in enumerate(self.cohort.cases)}
        return self.table.pick([place[case.id] for case in cases])

    def _training_table(self, fold: int, whole: bool) -> NodeTable:
        split = self.splits[fold]
        return self.part([*split.train, *split.validation] if whole else split.train)

    @cached_property
    def pretrained(self) -> Student | None:
        """Student pretrained on CT of the patients without a grade; None if there are none."""
        if not self.unlabeled:
            return None
        table = NodeTable.of([self.store.get(case) for case in self.unlabeled], graded=False)
        with one_thread(), torch.enable_grad():
            return pretrained_student(table, self.config.pretraining)

    def teacher(self, fold: int, whole: bool = True) -> NodeTeacher:
        """Train the teacher of a fold; whole: with the validation part. It reads all images, of which CT contributes
        least, and is not pretrained: on validation phantoms, pretraining on CT without grades did not improve it.
        """
        if (fold, whole) not in self._teachers:
            with one_thread(), torch.enable_grad():
                own = train_teacher(self._training_table(fold, whole), self.config.heads, HIDDEN)
            self._teachers[fold, whole] = own
        return self._teachers[fold, whole]

    def student(self, config: TrainingConfig, fold: int, whole: bool = True) -> Student:
        """Train one student of a fold; whole: with its validation part."""
        key = f"{config.hash()} {fold} {whole}"
        if key not in self._students:
            table = self._training_table(fold, whole)
            with one_thread(), torch.enable_grad():
                with seeded(config.seed):
                    distiller = make_distiller(config.method, config.distillation, HIDDEN, HIDDEN)
                targets = targets_of(self.teacher(fold, whole), table) if distiller.needs_teacher else None
                initial = None if self.pretrained is None else fitted_to(self.pretrained, table, seen=("ct",))
                recipe = replace(self.config.heads, seed=config.seed)
                own = train_student(table, recipe, distiller=distiller, targets=targets, initial=initial)
            self._students[key] = own
        return self._students[key]

    # -- runs

    def recipe_of_teacher(self, fold: int) -> dict[str, Any]:
        parts = super().recipe_of_teacher(fold)
        unlabeled = content_key(" ".join(case.fingerprint for case in self.unlabeled))
        return {**parts, "nodes": repr(self.config), "unlabeled": unlabeled}

    def teacher_run(self, fold: int) -> dict[str, np.ndarray]:
        cases = self.splits[fold].test
        with one_thread():
            output = targets_of(self.teacher(fold), self.part(cases))
        heads = {"teacher": output.logits} | {
            f"teacher {b.replace('_', ' ')}": logits for b, logits in output.branch_logits.items()
        }
        answered = {f"p_{name}": torch.softmax(logits.double(), dim=1).numpy() for name, logits in heads.items()}
        return {**names_of(cases), **answered}

    def student_run(self, config: TrainingConfig, fold: int) -> dict[str, np.ndarray]:
        split = self.splits[fold]
        found = node_answers(self.student(config, fold), self.part(split.test))
        inner, table = self.student(config, fold, whole=False), self.part(split.validation)
        held_out = {f"inner_p_{subset_name(s)}": predict(inner, table, s).numpy() for s in INPUTS}
        return {**names_of(split.test), **found, **held_out, "inner_grade": table.grade.numpy()}

    def outside_run(self, config: TrainingConfig, fold: int, cases: Sequence[CohortCase]) -> dict[str, np.ndarray]:
        store = self._store(0)
        table = NodeTable.of([store.get(case) for case in cases])
        return {**names_of(cases), "p_ct": predict(self.student(config, fold), table, ("ct",)).numpy()}
