"""Multi-teacher cross-modal distillation, MTCM-KD (Ahmad, Ullah and Gwak, Knowledge-Based Systems 297, 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDTrainLib.data.view import View, grades_of
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.losses import divergence, focal_loss, logit_loss
from REACTKDTrainLib.distillation.maps import map_pairs
from REACTKDTrainLib.distillation.several import branch_logits, true_log_probability
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher_heads import BRANCHES

TASK = 0.75  # original weight of the student's own loss; here it is 1, and all other weights are divided by TASK
TEACHERS = 0.125  # sum of the teachers' weights, 0.10 to 0.15 originally
DEEP = 0.10
TEMPERATURE = 20.0
MEMORY = 0.9


class FusedFeatures(nn.Module):
    """CDSFL: each teacher's map passes a channel gate and a 1x1x1 convolution; the sum is classified."""

    def __init__(self, width: int, teachers: int, classes: int):
        super().__init__()
        self.gates = nn.ModuleList([nn.Linear(width, width) for _ in range(teachers)])
        self.mixes = nn.ModuleList([nn.Conv3d(width, width, 1) for _ in range(teachers)])
        self.out = nn.Linear(width, classes)

    def forward(self, maps: Sequence[Tensor | None]) -> Tensor:
        """maps: of each teacher (C, ...) or None. Returns logits (K,)."""
        total = 0
        for level, gate, mix in zip(maps, self.gates, self.mixes, strict=True):
            if level is not None:
                gated = level * torch.sigmoid(gate(level.flatten(1).mean(dim=1)))[:, None, None, None]
                total = total + mix(gated)
        return self.out(F.relu(total).flatten(1).mean(dim=1))


class CrossModalDistillation(Distiller, name="mtcm-kd"):
    """Originally 0.75 L_task + sum_k w_k T KL(T_k || S) + 0.10 (0.7 L_task(deep) + 0.3 T KL(CDSFL || deep)), T = 20.

    T multiplies the divergence, not T^2. Teachers, one for each modality, train with the student; w_k are proportional
    to their Dice of the last epoch and sum to 0.10 to 0.15; CDSFL classifies the teachers' fused features; 'deep' is an
    auxiliary head of the student. Adapted (docs/explanation/method.md, Compared methods): the teachers (the two
    branches) are frozen, so that all methods share them; only CDSFL is trained, with focal loss. Dice is replaced by
    the running mean of each teacher's probability of the true grade on the training views. CDSFL and the deep head read
    the maps at a quarter of the grid. The student's own loss has weight 1 here, and the rest is divided by 0.75.
    Divergences are used from the first step, not the second epoch. `feature` multiplies all terms except CDSFL's own.
    """

    label = "MTCM-KD"
    needs_maps = True

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.cdsfl = FusedFeatures(teacher_width, len(BRANCHES), config.classes)
        self.deep = nn.Linear(student_width, config.classes)
        self.register_buffer("trust", torch.full((len(BRANCHES),), 1 / config.classes))

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        self._learn_trust(teacher, views)
        grades = grades_of(views, student.logits.device)
        fused, deep = [], []
        for row, (ours, _, _) in enumerate(map_pairs(student, teacher, views)):
            maps = [teacher.branch_maps[b][row] if b in teacher.branch_maps else None for b in BRANCHES]
            fused.append(self.cdsfl([None if m is None else m.detach().to(ours) for m in maps]))
            deep.append(self.deep(ours.flatten(1).mean(dim=1)))
        cdsfl, deep = torch.stack(fused), torch.stack(deep)
        scale = self.config.feature * DEEP / TASK
        return {
            **self.logit_terms(student.logits, teacher, views),
            "cdsfl": focal_loss(cdsfl, grades),
            "deep": 0.7 * scale * focal_loss(deep, grades),
            "deep_logits": 0.3 * scale * logit_loss(deep, cdsfl, TEMPERATURE) / TEMPERATURE,
        }

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        logits, there = branch_logits(teacher)
        weights = self.trust.to(logits)[:, None] * there
        weights = weights / weights.sum(dim=0, keepdim=True)
        kl = (weights * divergence(student, logits, TEMPERATURE)).sum(dim=0).mean()
        return {"logits": self.config.feature * TEACHERS / TASK * TEMPERATURE * kl}

    @torch.no_grad()
    def _learn_trust(self, teacher: GraphOutput, views: Sequence[View]) -> None:
        """Update the running mean of each teacher's probability of the true grade."""
        if not self.training:
            return
        logits, there = branch_logits(teacher)
        p = true_log_probability(logits, grades_of(views, logits.device)).exp()
        for k in range(len(BRANCHES)):
            if there[k].any():
                self.trust[k] = MEMORY * self.trust[k] + (1 - MEMORY) * p[k][there[k]].mean()
