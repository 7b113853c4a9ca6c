"""The stages of a training: teachers, student, and the heads of each on fixed node vectors.

Stage 1 trains both teachers and their fusion on graded cases, and the dose branch's consistency on CT without grades.
Stage 2 trains the student by focal loss and a frozen teacher's targets, with dropout of modalities and lesions. A stage
defines the terms of its loss and its validation. Each term is a mean over the samples of one process, so that averaging
over processes is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import INPUTS, subset_name
from REACTKDLib.core.student.bundle import Bundle
from REACTKDLib.core.student.network import Student
from REACTKDLib.core.text import quoted
from REACTKDTrainLib.data.view import View, grades_of
from REACTKDTrainLib.distillation.auxiliary import LatentRegression
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.losses import divergence, focal_loss, random_presence
from REACTKDTrainLib.models.node_batches import student_heads, teacher_heads
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.student_graph import images_read, predict_views, student_forward
from REACTKDTrainLib.models.teacher import Teacher
from REACTKDTrainLib.models.teacher_heads import BRANCHES
from REACTKDTrainLib.training.config import LossConfig
from REACTKDTrainLib.training.fold_data import FoldData
from REACTKDTrainLib.training.randomness import generator_of, seed_of
from REACTKDTrainLib.training.trainer import Sample, Stage

Degrade = Callable[[View, int], Tensor]
TargetsOf = Callable[[Sample], GraphOutput]


@dataclass(eq=False)
class CaseStage(Stage):
    """A stage on graded cases. train, validation: no patient is in both."""

    module: nn.Module
    train: FoldData
    validation: FoldData
    config: LossConfig

    @property
    def cases(self) -> int:
        """Return the number of training cases."""
        return len(self.train)


@dataclass(eq=False)
class TeacherStage(CaseStage):
    """degrade: (view, seed) -> its CT at a dose drawn from the seed, for the dose branch; None: original dose.
    unlabeled: CT without grades for `consistency`, which needs `degrade_unlabeled`.
    """

    module: Teacher
    degrade: Degrade | None = None
    unlabeled: FoldData | None = None
    degrade_unlabeled: Degrade | None = None
    name: str = "teacher"

    def terms(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the focal loss of the fused head and of each branch's head, and the consistency."""
        views = [self.train.of(sample) for sample in samples]
        seeds = [sample.seed for sample in samples]
        doses = None
        if self.degrade is not None:
            doses = [self.degrade(view, seed) for view, seed in zip(views, seeds, strict=True)]
        terms = graded_terms(self.module(views, doses, seeds), views, self.config)
        if self.unlabeled is not None and self.config.consistency:
            terms["consistency"] = self.config.consistency * self._consistency(samples)
        return terms

    def _consistency(self, samples: Sequence[Sample]) -> Tensor:
        """Consistency on as many cases without a grade as the batch has graded cases."""
        seeds = [seed_of("unlabeled", sample.seed) for sample in samples]
        views = [self.unlabeled.view(seed % len(self.unlabeled)) for seed in seeds]
        with torch.no_grad():
            native = self.module.grade_dose(views, [view.images["ct"] for view in views], seeds)
        degraded = [self.degrade_unlabeled(view, seed) for view, seed in zip(views, seeds, strict=True)]
        return consistency(native, self.module.grade_dose(views, degraded, seeds))

    def validate(self) -> Mapping[str, float]:
        """Evaluate the fused head on validation cases at their original dose."""
        views = [self.validation.view(index) for index in range(len(self.validation))]
        logits = torch.cat([self.module([view]).logits.cpu() for view in views])
        return score_of(logits, grades_of(views, logits.device))


@dataclass(eq=False)
class TeacherHeadsStage(CaseStage):
    """The teacher's heads on fixed node vectors alone; no image is encoded, so thousands of steps take minutes."""

    module: Teacher
    name: str = "teacher-heads"

    def terms(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the focal loss of the fused head and of each branch's head."""
        views = [self.train.light_of(sample) for sample in samples]
        return graded_terms(teacher_heads(self.module, views, [sample.seed for sample in samples]), views, self.config)

    def validate(self) -> Mapping[str, float]:
        """Evaluate on validation cases."""
        views = [self.validation.light(index) for index in range(len(self.validation))]
        logits = teacher_heads(self.module, views, [0] * len(views)).logits.cpu()
        return score_of(logits, grades_of(views, logits.device))


class Learner(nn.Module):
    """All modules that stage 2 optimizes: the student, the distiller's projections, the readout of latent variables."""

    def __init__(self, student: Student, distiller: Distiller, auxiliary: LatentRegression | None = None):
        super().__init__()
        self.student, self.distiller, self.auxiliary = student, distiller, auxiliary


def share_cbam(student: Student, cbam: nn.Module) -> None:
    """Give the student the teachers' CBAM3D, frozen (stage 2 of arXiv 2508.02104).

    It takes precedence over that of an initial model, which `warm_start` skips.
    """
    if takes_cbam(student):
        student.cbam.load_state_dict(cbam.state_dict())
        student.cbam.requires_grad_(False)


def takes_cbam(student: Student) -> bool:
    """Return True if the student has a CBAM3D, which it then shares with the teachers."""
    return bool(student.config.cbam and student.fused_size)


@dataclass(frozen=True, eq=False)
class Initial:
    """The initial model of a student's training. fitting: its weights that match the student by name and shape. left:
    the names of the others. shared: True if its CBAM3D is replaced by the teachers', even if it fits.
    """

    student: Student
    fitting: Mapping[str, Tensor]
    left: tuple[str, ...]
    shared: bool = False

    @classmethod
    def of(cls, student: Student, folder: str, taught: bool = False) -> Initial:
        """Compare a model folder with the student. taught: with teachers, whose CBAM3D a student with CBAM3D shares.

        Raises: see `Bundle.load`; UsageError if no weights fit.
        """
        own, initial = student.state_dict(), Bundle.load(folder).student
        shared = taught and takes_cbam(student)
        given = {n: value for n, value in initial.state_dict().items() if not (shared and n.startswith("cbam."))}
        fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
        if not fitting:
            raise UsageError("No weight of the initial model fits the student; give a model of the same configuration.")
        return cls(initial, fitting, tuple(name for name in given if name not in fitting), shared)

    @property
    def words(self) -> str:
        """Return a text for display: how many weights are used."""
        count = len(self.student.state_dict())
        taken = f"all {count}" if len(self.fitting) == count else f"{len(self.fitting)} of {count}"
        words = f"the student begins with {taken} weights of the initial model"
        if self.left:
            words += f"; {quoted(self.left)} do not fit it, since its settings (student) differ"
        return words + ("; its CBAM3D is the teachers'" if self.shared else "")


def warm_start(student: Student, folder: str, taught: bool = False) -> bool:
    """Load the fitting weights of a model folder, except for the CBAM3D of a student that shares the teachers'.

    taught: with teachers, whose CBAM3D it shares (see `share_cbam`). Returns True if the maps differ from those of the
    folder's model, because only one of the two has CBAM3D, or because theirs differ. Raises: see `Initial.of`.
    """
    initial = Initial.of(student, folder, taught)
    student.load_state_dict(initial.fitting, strict=False)
    return initial.shared or student.config.cbam != initial.student.config.cbam


@dataclass(eq=False)
class StudentStage(CaseStage):
    """targets_of: a sample -> the frozen teacher's targets for its view; None if the method needs no teacher. encode:
    False trains the heads on fixed node vectors alone, with the terms that compare logits.
    """

    module: Learner
    targets_of: TargetsOf | None = None
    encode: bool = True

    @property
    def name(self) -> str:
        """Name in logs and files."""
        return "student" if self.encode else "student-heads"

    def terms(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return the focal loss, the distiller's terms, and the regression of latent variables."""
        views = [self.train.of(s) if self.encode else self.train.light_of(s) for s in samples]
        presence = drawn_presence(views, samples, self.module.student.config.modalities, self.config.modality_dropout)
        drops = [
            dropped_lesions(len(v.masks), s, self.config.node_dropout) for v, s in zip(views, samples, strict=True)
        ]
        seeds = [sample.seed for sample in samples]
        forward = student_forward if self.encode else student_heads
        output = forward(self.module.student, views, presence, seeds, drops)
        terms = {"focal": focal(output.logits, grades_of(views, output.logits.device), self.config)}
        if self.targets_of is not None:
            targets = GraphOutput.joined([self.targets_of(sample) for sample in samples]).to(output.logits.device)
            distiller = self.module.distiller
            if self.encode:
                terms |= distiller(output, targets, views)
            else:
                terms |= distiller.logit_terms(output.logits, targets, views)
        if self.module.auxiliary is not None and self.config.auxiliary:
            terms["latents"] = self.config.auxiliary * self.module.auxiliary(output, views, presence)
        return terms

    def validate(self) -> Mapping[str, float]:
        """Evaluate on validation cases with the expert's masks: the mean over the evaluated subsets of images."""
        views = self.validation.view if self.encode else self.validation.light
        judged = self._judged()
        logits: dict[str, list[Tensor]] = {subset_name(s): [] for s in judged}
        grades: dict[str, list[int]] = {name: [] for name in logits}
        cases = map(views, range(len(self.validation)))
        for case, found in zip(self.validation.cases, predict_views(self.module.student, cases, judged, self.encode)):
            for name, value in found.items():
                logits[name].append(value)
                grades[name].append(case.grade)
        measures = [score_of(torch.stack(v), torch.tensor(grades[n])) for n, v in logits.items() if v]
        return {k: sum(m[k] for m in measures) / len(measures) for k in measures[0]}

    def _judged(self) -> Sequence[tuple[str, ...]]:
        """Return the `INPUTS` that some validation case has; if none (PET alone), the full set of each case."""
        own = dict.fromkeys(images_read(self.module.student, case.modalities) for case in self.validation.cases)
        return [s for s in INPUTS if any(set(s) <= set(images) for images in own)] or list(own)


def consistency(native: GraphOutput, degraded: GraphOutput) -> Tensor:
    """KL(sg p(x) || p(x')) + mean_i (1 - cos(v_i(x), v_i(x'))), mean over cases (ours: docs/explanation/method.md).

    native: of the original scan, treated as a constant; degraded: of the same scan at a lower dose.
    """
    kl = divergence(degraded.logits, native.logits)
    apart = [
        (1 - F.cosine_similarity(v.detach(), u, dim=1, eps=1e-6)).mean()
        for v, u in zip(native.nodes, degraded.nodes, strict=True)
    ]
    return (kl + torch.stack(apart)).mean()


def graded_terms(output: GraphOutput, views: Sequence[View], config: LossConfig) -> dict[str, Tensor]:
    """Return scalars: focal loss of a teacher's fused logits, and of each branch, weighted by `config.branches`."""
    grades = grades_of(views, output.logits.device)
    terms = {"focal": focal(output.logits, grades, config)}
    for branch in BRANCHES:
        logits = output.branch_logits.get(branch)
        # present even if no case of this part has the branch, so that every process has the same terms
        terms[branch] = config.branches * (
            output.logits.new_zeros(()) if logits is None else focal(logits, grades, config)
        )
    return terms


def drawn_presence(
    views: Sequence[View], samples: Sequence[Sample], modalities: tuple[str, ...], rate: float
) -> dict[str, Tensor]:
    """Modality dropout among the images that each case has, drawn from the sample's seed: modality -> (B,)."""
    out = {m: torch.zeros(len(views)) for m in modalities}
    for row, (view, sample) in enumerate(zip(views, samples, strict=True)):
        own = tuple(m for m in modalities if m in view.images)
        for name, kept in random_presence(1, own, rate, generator_of("presence", sample.seed)).items():
            out[name][row] = kept[0]
    return out


def dropped_lesions(nodes: int, sample: Sample, rate: float) -> list[int]:
    """Draw the lesions that are hidden from the head in this step, never the parenchyma or the largest lesion (node 1).

    nodes: number of nodes of the case. sample: provides the seed. rate: probability for each lesion.
    """
    draw = torch.rand(nodes, generator=generator_of("nodes", sample.seed))
    return [n for n in range(2, nodes) if draw[n] < rate]


def focal(logits: Tensor, grades: Tensor, config: LossConfig) -> Tensor:
    """Focal loss of (B, K). NaN rows (a branch that the case lacks) count as 0 in the mean over B."""
    known = logits.isfinite().all(dim=1)
    if not known.any():
        return logits.new_zeros(())
    weights = torch.tensor(config.class_weights, device=logits.device)
    return focal_loss(logits[known], grades[known], config.gamma, weights) * (known.sum() / len(logits))


def score_of(logits: Tensor, grades: Tensor) -> dict[str, float]:
    """Measures on validation cases: 'score', mean log likelihood (ranks are coarse for few cases), and 'accuracy'."""
    logits = logits.detach()
    log_p = torch.log_softmax(logits.double(), dim=1).gather(1, grades[:, None])
    right = (logits.argmax(dim=1) == grades).double().mean()
    return {"score": float(log_p.mean()), "accuracy": float(right)}
