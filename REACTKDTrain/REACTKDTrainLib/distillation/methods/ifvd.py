"""Intra-class feature variation distillation (Wang et al., ECCV 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.distillation.distiller import MapDistiller

_EPS = 1e-6


def classes_of(occupancy: Tensor) -> Tensor:
    """(positions,) int64: the class that fills most of each voxel, 0 for the rest and 1 + i for region i.

    occupancy: (n, ...) fractions covered by the regions; the remaining fraction of a voxel is the rest.
    """
    shares = occupancy.flatten(1)
    rest = (1 - shares.sum(dim=0)).clamp_min(0)
    return torch.cat([rest[None], shares]).argmax(dim=0)


def variation(level: Tensor, classes: Tensor) -> Tensor:
    """V(x) = cos(F(x), mu_r(x)), mu the mean feature of the class of x: (C, ...), (positions,) -> (positions,)."""
    features = level.flatten(1).T
    member = F.one_hot(classes).to(features)
    prototypes = (member.T @ features) / member.sum(dim=0)[:, None].clamp_min(1)
    return F.cosine_similarity(features, prototypes[classes], dim=1, eps=_EPS)


def variation_loss(student: Tensor, teacher: Tensor, classes: Tensor) -> Tensor:
    """(V_S - V_T)^2, mean within each class, then over the classes present."""
    apart = (variation(student, classes) - variation(teacher.detach(), classes)).square()
    member = F.one_hot(classes).to(apart)
    member = member[:, member.sum(dim=0) > 0]
    return ((apart @ member) / member.sum(dim=0)).mean()


class VariationDistillation(MapDistiller, name="ifvd"):
    """Originally L = CE + KD + beta mean_x (V_S(x) - V_T(x))^2, beta 50, with the classes of the segmentation.

    Adapted: classes are the expert's regions (parenchyma, each lesion) and the other voxels. The mean is first taken
    within each class, so that a small lesion has the same weight as the liver. beta 10 (times `feature`). No
    projection. The teacher is the fused one. The paper calls the method incompatible; it only needs masks.
    """

    label = "IFVD"
    beta = 10.0

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        return {"variation": variation_loss(student, teacher, classes_of(occupancy))}
