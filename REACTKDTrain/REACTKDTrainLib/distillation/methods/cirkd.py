"""Cross-image relational distillation of voxels and regions, CIRKD (Yang et al., CVPR 2022, arXiv 2204.06986)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDTrainLib.content_store import content_key
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.losses import divergence
from REACTKDTrainLib.distillation.maps import map_pairs
from REACTKDTrainLib.distillation.methods.kd import LogitDistillation
from REACTKDTrainLib.models.outputs import GraphOutput

TAU = 0.1
BATCH, PIXEL, REGION = 1.0, 0.1, 0.1
VOXELS = 64  # of each kind (tumor, parenchyma, other) in a volume
ENQUEUED = 16
QUEUES = {"pixels": 512, "regions": 64}  # of each class


def relation_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], tau: float = TAU) -> Tensor:
    """(1/B^2) sum_ij mean_rows KL(softmax(F^T_i F^T_j' / tau) || softmax(F^S_i F^S_j' / tau)).

    student, teacher: for each case unit vectors (a, C) of the same voxels.
    """
    total = student[0].new_zeros(())
    for of_s, of_t in zip(student, teacher, strict=True):
        for to_s, to_t in zip(student, teacher, strict=True):
            total = total + divergence(of_s @ to_s.T, of_t @ to_t.T, tau).mean()
    return total / len(student) ** 2


class CrossImageDistillation(LogitDistillation, name="cirkd"):
    """Originally L = L_task + L_kd + L_batch + 0.1 L_pixel + 0.1 L_region (winycg/CIRKD, version 1, commit 05a2753).
    The terms compare the student's similarities with the teacher's, at tau 0.1: between voxels of two images of a
    batch, and between voxels and queues of the teacher's voxels and regions of each class. The student's voxels pass a
    two-layer projector.

    Adapted: classes are parenchyma, tumor of each grade, other. Up to 64 voxels of tumor, parenchyma and other are
    sampled in each volume, seeded by the key of its view, the same for both networks. Queues hold 512 voxels and 64
    regions for each class and are used whole. The official code samples what it enqueues from the whole map; here it is
    sampled within the class. L_kd is `logits` tau^2 KL as in the other methods; `feature` multiplies the rest. The
    teacher is the fused one.
    """

    label = "CIRKD"
    needs_maps = True

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.project = nn.Sequential(
            nn.Linear(student_width, teacher_width), nn.ReLU(), nn.Linear(teacher_width, teacher_width)
        )
        classes = 2 + config.classes  # other, parenchyma, tumor of each grade
        for name, room in QUEUES.items():
            self.register_buffer(name, torch.zeros(classes, room, teacher_width))
            self.register_buffer(f"{name}_count", torch.zeros(classes, dtype=torch.int64))

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        ours, theirs, kinds, raw = [], [], [], []
        for (s, t, occupancy), view in zip(map_pairs(student, teacher, views), views, strict=True):
            index, kind = drawn_voxels(occupancy, view)
            raw.append(s.flatten(1).T[index])
            ours.append(F.normalize(raw[-1], dim=1))
            theirs.append(F.normalize(t.flatten(1).T[index], dim=1))
            kinds.append(kind)
        projected = F.normalize(self.project(torch.cat(raw)), dim=1)
        weight = self.config.feature
        terms = {
            **super().forward(student, teacher, views),
            "relations": weight * BATCH * relation_loss(ours, theirs),
            "pixels": weight * PIXEL * self._to_queue("pixels", projected, torch.cat(theirs)),
            "regions": weight * REGION * self._to_queue("regions", projected, torch.cat(theirs)),
        }
        if self.training:
            self._enqueue(theirs, kinds, teacher, views)
        return terms

    def _to_queue(self, name: str, ours: Tensor, theirs: Tensor) -> Tensor:
        """Divergence of the student's from the teacher's similarities to all keys of a queue; 0 while the queue is
        empty.
        """
        queue, count = getattr(self, name), getattr(self, f"{name}_count")
        keys = torch.cat([queue[c, : min(int(n), queue.shape[1])] for c, n in enumerate(count)]).clone().to(ours)
        if not len(keys):
            return ours.sum() * 0
        return divergence(ours @ keys.T, theirs @ keys.T, TAU).mean()

    @torch.no_grad()
    def _enqueue(self, voxels: list[Tensor], kinds: list[Tensor], teacher: GraphOutput, views: Sequence[View]):
        """Enqueue the first 16 sampled voxels of each class (they are in random order) and the mean of each region."""
        for rows, kind, nodes, view in zip(voxels, kinds, teacher.nodes, views, strict=True):
            for c in kind.unique().tolist():
                self._put("pixels", c, rows[kind == c][:ENQUEUED])
            nodes = F.normalize(nodes.to(rows), dim=1)
            self._put("regions", 1, nodes[:1])
            self._put("regions", 2 + view.grade, nodes[1:])

    def _put(self, name: str, c: int, rows: Tensor) -> None:
        queue, count = getattr(self, name), getattr(self, f"{name}_count")
        for row in rows:
            queue[c, int(count[c]) % queue.shape[1]] = row
            count[c] += 1


def drawn_voxels(occupancy: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """Return positions (a,) in the flattened map and the class of each: up to 64 of tumor, parenchyma and the rest.

    A voxel belongs to the class that fills most of it. Seeded by the view's key, in random order.
    """
    rest = (1 - occupancy.sum(dim=0)).clamp_min(0)
    kind = torch.stack([rest, occupancy[0], occupancy[1:].sum(dim=0)]).flatten(1).argmax(dim=0).cpu()
    draw = torch.Generator().manual_seed(int(content_key(view.key)[:15], 16))
    order = torch.randperm(len(kind), generator=draw)
    chosen = torch.cat([order[kind[order] == k][:VOXELS] for k in range(3)])
    names = torch.where(kind[chosen] == 2, 2 + view.grade, kind[chosen])
    return chosen.to(occupancy.device), names.to(occupancy.device)
