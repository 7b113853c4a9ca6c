"""Feature filtering and region graphs over uniform patches, after MSKD (Zhao et al., Comput. Biol. Med. 164, 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import MapDistiller
from REACTKDTrainLib.distillation.graph import edge_loss, node_loss, projector
from REACTKDTrainLib.distillation.maps import region_means, standardized

PATCH = 4


def patches(level: Tensor, size: int = PATCH) -> Tensor:
    """(C, d, h, w) -> (patches, C): means over cubes of `size` voxels; the last cube along an axis may be smaller."""
    kernel = [min(size, n) for n in level.shape[1:]]
    return F.avg_pool3d(level[None], kernel, ceil_mode=True)[0].flatten(1).T


def patch_graph_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(1/N^2) sum (e^S - e^T)^2 + (1/N) sum |v^S - v^T|^2, v the patches' unit vectors, e their cosines."""
    ours, theirs = patches(student), patches(teacher)
    return edge_loss(ours, theirs) + node_loss(ours, theirs)


def filtered_loss(student: Tensor, teacher: Tensor, occupancy: Tensor) -> Tensor:
    """sum_r |mean_{x in r} (F_S - F_T)|^2 / C over parenchyma and all lesions together, of standardized maps.

    student, teacher: (C, d, h, w). occupancy: (n, d, h, w), the parenchyma first. Returns a scalar.
    """
    classes = torch.stack([occupancy[0], occupancy[1:].sum(dim=0)]) if len(occupancy) > 1 else occupancy
    apart = region_means(student, classes) - region_means(teacher.detach(), classes)
    return apart.square().mean(dim=1).sum()


class MultiScaleStyle(MapDistiller, name="mskd"):
    """MSKD-style, re-derived: the article's abstract names Feature Filtering Distillation and Region Graph Distillation
    without added parameters; REACT-KD describes uniform patches, pooled, with cosines between them. The formulas above
    are ours (docs/explanation/method.md, Compared methods).

    It is the control of REACT-KD's graph: the same losses on patches instead of anatomical regions. Adapted to 3D:
    cubes of 4 voxels of the fused map, channels standardized over positions. If the numbers of channels differ, the
    student's pass a fixed orthogonal map, so that nothing is learned. Weight 1 (times `feature`).
    """

    label = "MSKD-style (re-derived)"

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.align = None if student_width == teacher_width else projector(student_width, teacher_width)
        if self.align is not None:
            self.align.requires_grad_(False)

    def of_case(self, student: Tensor, teacher: Tensor, occupancy: Tensor) -> dict[str, Tensor]:
        if self.align is not None:
            student = torch.movedim(self.align(torch.movedim(student, 0, -1)), -1, 0)
        ours, theirs = standardized(student), standardized(teacher)
        return {"patches": patch_graph_loss(ours, theirs), "filtered": filtered_loss(ours, theirs, occupancy)}
