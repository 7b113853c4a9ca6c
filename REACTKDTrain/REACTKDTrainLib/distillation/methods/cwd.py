"""Channel-wise distillation: each channel as a distribution over space (Shu et al., ICCV 2021, arXiv 2011.13256)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.maps import liver_box, map_pairs, standardized
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.outputs import GraphOutput

BETA = 3.0
TAU = 4.0


def channel_loss(student: Tensor, teacher: Tensor, tau: float = TAU) -> Tensor:
    """tau^2 / C sum_c KL(phi(F_T)_c || phi(F_S)_c), phi a softmax over positions of F / tau. Both (C, ...)."""
    log_t = F.log_softmax(teacher.detach().flatten(1) / tau, dim=1)
    log_s = F.log_softmax(student.flatten(1) / tau, dim=1)
    return tau**2 * (log_t.exp() * (log_t - log_s)).sum(dim=1).mean()


class ChannelDistillation(Distiller, name="cwd"):
    """Originally L = CE + beta tau^2 / (B C) sum KL(phi(F_T) || phi(F_S)), beta 3 to 50, tau 1 to 10 (TorchDistiller).

    Adapted: a learned 1x1x1 projection of the student's channels (the original has one where channels differ); each
    channel is standardized over positions first, since the teacher's are layer-normalized and the student's are not;
    positions are those of the box around the regions. beta 3 (times `feature`), tau 4. From the fused teacher. The
    paper calls it incompatible; a projection is all that it takes.
    """

    label = "CWD"
    needs_maps = True

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.project = nn.Conv3d(student_width, teacher_width, 1)

    def forward(self, student: GraphOutput, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        rows = []
        for ours, theirs, occupancy in map_pairs(student, teacher, views):
            box = liver_box(occupancy)
            rows.append(channel_loss(standardized(self.project(ours[box])), standardized(theirs[box])))
        return {"channels": self.config.feature * BETA * torch.stack(rows).mean()}
