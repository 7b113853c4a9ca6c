"""Stage 2: the student, with focal loss and what a frozen teacher says, while modalities and lesions drop out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from REACTKDLib.core.modality import INPUTS, subset_name
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.auxiliary import LatentRegression
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.losses import random_presence
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.node_batches import student_heads
from REACTKDTrainLib.models.predict import predict_views
from REACTKDTrainLib.models.student_graph import student_forward
from REACTKDTrainLib.training.config import LossConfig
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.randomness import generator_of
from REACTKDTrainLib.training.stage import Sample
from REACTKDTrainLib.training.terms import focal, grades_of, score_of, summed

Ask = Callable[[Sample], TeacherTargets]


class Learner(nn.Module):
    """All that stage 2 optimizes: the student, the distiller's projections, the latents' readout."""

    def __init__(self, student: Student, distiller: Distiller, auxiliary: LatentRegression | None = None):
        super().__init__()
        self.student, self.distiller, self.auxiliary = student, distiller, auxiliary


def share_cbam(student: Student, cbam: nn.Module) -> None:
    """Give the student the teachers' CBAM3D, frozen (stage 2 of arXiv 2508.02104)."""
    if student.config.cbam and student.fused_size:
        student.cbam.load_state_dict(cbam.state_dict())
        student.cbam.requires_grad_(False)


@dataclass(eq=False)
class StudentStage:
    """ask: a sample -> what the frozen teacher says of its view; None where the method needs no teacher. encode: False
    trains the heads on fixed node vectors alone, by those terms that compare logits.
    """

    module: Learner
    train: FoldData
    inner: FoldData
    config: LossConfig
    ask: Ask | None = None
    encode: bool = True

    @property
    def name(self) -> str:
        """For logs and files."""
        return "student" if self.encode else "student-heads"

    @property
    def cases(self) -> int:
        return len(self.train)

    def loss(self, samples: Sequence[Sample], epoch: int) -> Mapping[str, Tensor]:
        """Focal loss, the distiller's terms, the regression of latents."""
        views = [self.train.of(s) if self.encode else self.train.light_of(s) for s in samples]
        presence = drawn_presence(views, samples, self.module.student.config.modalities, self.config.modality_dropout)
        drops = [
            dropped_lesions(len(v.masks), s, self.config.node_dropout) for v, s in zip(views, samples, strict=True)
        ]
        seeds = [sample.seed for sample in samples]
        forward = student_forward if self.encode else student_heads
        output = forward(self.module.student, views, presence, seeds, drops)
        terms = {"focal": focal(output.logits, grades_of(views, output.logits.device), self.config)}
        if self.ask is not None:
            targets = TeacherTargets.joined([self.ask(sample) for sample in samples]).to(output.logits.device)
            distiller = self.module.distiller
            if self.encode:
                terms |= distiller(output, targets, views)
            else:
                terms |= distiller.logit_terms(output.logits, targets, views)
        if self.module.auxiliary is not None and self.config.auxiliary:
            terms["latents"] = self.config.auxiliary * self.module.auxiliary(output, views, presence)
        return summed(terms)

    def validate(self) -> Mapping[str, float]:
        """On inner cases with the expert's masks: the mean over the judged subsets of inputs."""
        views = self.inner.view if self.encode else self.inner.light
        logits: dict[str, list[Tensor]] = {subset_name(s): [] for s in INPUTS}
        grades: dict[str, list[int]] = {name: [] for name in logits}
        inner = map(views, range(len(self.inner)))
        for case, found in zip(self.inner.cases, predict_views(self.module.student, inner, INPUTS, self.encode)):
            for name, value in found.items():
                logits[name].append(value)
                grades[name].append(case.grade)
        measures = [score_of(torch.stack(v), torch.tensor(grades[n])) for n, v in logits.items() if v]
        return {k: sum(m[k] for m in measures) / len(measures) for k in measures[0]}


def drawn_presence(
    views: Sequence[View], samples: Sequence[Sample], modalities: tuple[str, ...], rate: float
) -> dict[str, Tensor]:
    """Modality dropout, drawn from each sample's seed among the images that the case has: modality -> (B,)."""
    out = {m: torch.zeros(len(views)) for m in modalities}
    for row, (view, sample) in enumerate(zip(views, samples, strict=True)):
        own = tuple(m for m in modalities if m in view.images)
        for name, kept in random_presence(1, own, rate, generator_of("presence", sample.seed)).items():
            out[name][row] = kept[0]
    return out


def dropped_lesions(nodes: int, sample: Sample, rate: float) -> list[int]:
    """Lesions that the head does not see in this step: any but the parenchyma and the largest lesion (node 1)."""
    draw = torch.rand(nodes, generator=generator_of("nodes", sample.seed))
    return [n for n in range(2, nodes) if draw[n] < rate]
