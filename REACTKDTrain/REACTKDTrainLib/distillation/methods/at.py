"""Attention transfer: spatial distribution of the feature energy (Zagoruyko and Komodakis 2017, arXiv 1612.03928)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.distillation.distiller import MapDistiller


def attention(level: Tensor) -> Tensor:
    """Q(F) = vec(mean_c F_c^2) / |.|_2: (C, ...) -> (positions,)."""
    return F.normalize(level.square().mean(dim=0).flatten(), dim=0)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """|Q(F_S) - Q(F_T)|^2, summed over positions. student: (C, ...); teacher: (E, ...) of the same grid."""
    return (attention(student) - attention(teacher.detach())).square().sum()


class AttentionTransfer(MapDistiller, name="at"):
    """Originally L = CE + beta / 2 sum_levels mean((Q(F_S) - Q(F_T))^2), beta = 1e3 (szagoruyko/attention-transfer).

    Adapted: the mean over positions would make the weight depend on the number of voxels, so positions are summed and
    beta is 3 (times `feature`). Both fused maps are at a quarter of the grid; the second level is that map averaged
    over 2x2x2. No projection is needed, since channels are averaged. The teacher is the fused one.
    """

    label = "AT"
    beta = 3.0

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        coarse = [F.avg_pool3d(x[None], 2, ceil_mode=True)[0] for x in (student, teacher)]
        return {"attention": (attention_loss(student, teacher) + attention_loss(*coarse)) / 2}
