"""Attention transfer: where the energy of the features lies (Zagoruyko and Komodakis 2017, arXiv 1612.03928)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.maps import map_pairs
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.outputs import GraphOutput

BETA = 3.0


def attention(level: Tensor) -> Tensor:
    """Q(F) = vec(mean_c F_c^2) / |.|_2: (C, ...) -> (positions,)."""
    return F.normalize(level.square().mean(dim=0).flatten(), dim=0)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """|Q(F_S) - Q(F_T)|^2, summed over positions. student: (C, ...); teacher: (E, ...) of the same grid."""
    return (attention(student) - attention(teacher.detach())).square().sum()


class AttentionTransfer(Distiller, name="at"):
    """Originally L = CE + beta / 2 sum_levels mean((Q(F_S) - Q(F_T))^2), beta = 1e3 (szagoruyko/attention-transfer).

    Adapted: the mean over positions would make the weight depend on the number of voxels, so positions are summed and
    beta is 3 (times `feature`). Both fused maps are at a quarter of the grid; the level below is that map averaged over
    2x2x2. No projection is needed, since channels are averaged. From the fused teacher.
    """

    label = "AT"
    needs_maps = True

    def forward(self, student: GraphOutput, teacher: TeacherTargets, views: Sequence[View]) -> dict[str, Tensor]:
        rows = []
        for ours, theirs, _ in map_pairs(student, teacher, views):
            coarse = [F.avg_pool3d(x[None], 2, ceil_mode=True)[0] for x in (ours, theirs)]
            rows.append((attention_loss(ours, theirs) + attention_loss(*coarse)) / 2)
        return {"attention": self.config.feature * BETA * torch.stack(rows).mean()}
