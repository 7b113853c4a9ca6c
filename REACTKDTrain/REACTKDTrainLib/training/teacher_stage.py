"""Stage 1: both teachers and their fusion, on graded cases, and the dose branch's consistency on CT without grades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.node_batches import teacher_heads
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.models.teacher_heads import BRANCHES
from REACTKDTrainLib.training.config import LossConfig
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.randomness import seed_of
from REACTKDTrainLib.training.stage import Sample
from REACTKDTrainLib.training.terms import focal, grades_of, score_of, summed

Degrade = Callable[[View, int], Tensor]


def consistency(native: GraphOutput, degraded: GraphOutput) -> Tensor:
    """KL(sg p(x) || p(x')) + mean_i (1 - cos(v_i(x), v_i(x'))), the mean over cases (ours: docs/method.md).

    native: of the scan as it is, a constant here; degraded: of the same scan at a lower dose.
    """
    log_p = F.log_softmax(native.logits.detach(), dim=1)
    kl = (log_p.exp() * (log_p - F.log_softmax(degraded.logits, dim=1))).sum(dim=1)
    apart = [
        (1 - F.cosine_similarity(v.detach(), u, dim=1, eps=1e-6)).mean()
        for v, u in zip(native.nodes, degraded.nodes, strict=True)
    ]
    return (kl + torch.stack(apart)).mean()


@dataclass(eq=False)
class TeacherStage:
    """train, inner: graded cases. degrade: (view, seed) -> its CT at a dose drawn from the seed, for the dose branch;
    None: native. unlabeled: CT without grades for `consistency`, which needs `degrade_unlabeled`.
    """

    module: Teacher
    train: FoldData
    inner: FoldData
    config: LossConfig
    degrade: Degrade | None = None
    unlabeled: FoldData | None = None
    degrade_unlabeled: Degrade | None = None
    name: str = "teacher"

    @property
    def cases(self) -> int:
        return len(self.train)

    def loss(self, samples: Sequence[Sample], epoch: int) -> Mapping[str, Tensor]:
        """Focal loss of the fused head and of each branch's, and consistency."""
        views = [self.train.of(sample) for sample in samples]
        seeds = [sample.seed for sample in samples]
        doses = None
        if self.degrade is not None:
            doses = [self.degrade(view, seed) for view, seed in zip(views, seeds, strict=True)]
        terms = graded_terms(self.module(views, doses, seeds), views, self.config)
        if self.unlabeled is not None and self.config.consistency:
            terms["consistency"] = self.config.consistency * self._consistency(samples)
        return summed(terms)

    def _consistency(self, samples: Sequence[Sample]) -> Tensor:
        """On as many cases without a grade as there are graded ones in the batch."""
        seeds = [seed_of("unlabeled", sample.seed) for sample in samples]
        views = [self.unlabeled.view(seed % len(self.unlabeled)) for seed in seeds]
        with torch.no_grad():
            native = self.module.grade_dose(views, [view.images["ct"] for view in views], seeds)
        degraded = [self.degrade_unlabeled(view, seed) for view, seed in zip(views, seeds, strict=True)]
        return consistency(native, self.module.grade_dose(views, degraded, seeds))

    def validate(self) -> Mapping[str, float]:
        """On inner cases at native dose: the fused head."""
        views = [self.inner.view(index) for index in range(len(self.inner))]
        logits = torch.cat([self.module([view]).logits.cpu() for view in views])
        return score_of(logits, grades_of(views, logits.device))


@dataclass(eq=False)
class TeacherHeadsStage:
    """The teacher's heads on fixed node vectors alone; no image is encoded, so thousands of steps take minutes."""

    module: Teacher
    train: FoldData
    inner: FoldData
    config: LossConfig
    name: str = "teacher-heads"

    @property
    def cases(self) -> int:
        return len(self.train)

    def loss(self, samples: Sequence[Sample], epoch: int) -> Mapping[str, Tensor]:
        """Focal loss of the fused head and of each branch's."""
        views = [self.train.light_of(sample) for sample in samples]
        output = teacher_heads(self.module, views, [sample.seed for sample in samples])
        return summed(graded_terms(output, views, self.config))

    def validate(self) -> Mapping[str, float]:
        """On inner cases."""
        views = [self.inner.light(index) for index in range(len(self.inner))]
        logits = teacher_heads(self.module, views, [0] * len(views)).logits.cpu()
        return score_of(logits, grades_of(views, logits.device))


def graded_terms(output: GraphOutput, views: Sequence[View], config: LossConfig) -> dict[str, Tensor]:
    """Focal loss of the fused logits, and that of each branch, weighted."""
    grades = grades_of(views, output.logits.device)
    terms = {"focal": focal(output.logits, grades, config)}
    for branch in BRANCHES:
        logits = output.branch_logits.get(branch)
        # told even when no case of this part has the branch, so that every process tells the same terms
        terms[branch] = config.branches * (
            output.logits.new_zeros(()) if logits is None else focal(logits, grades, config)
        )
    return terms
