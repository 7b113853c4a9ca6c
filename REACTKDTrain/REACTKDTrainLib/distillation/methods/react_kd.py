"""REACT-KD: logits and the graph of regions (arXiv 2508.02104, equations 2 to 8 and 18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.graph import (
    Graphs,
    mean_edge_loss,
    mean_gw_loss,
    mean_node_loss,
    projector,
    unit,
)
from REACTKDTrainLib.distillation.methods.kd import LogitDistillation
from REACTKDTrainLib.models.outputs import GraphOutput


class ReactDistillation(LogitDistillation, name="react-kd"):
    """l2 tau^2 KL + l3 (l_n node + l_e edge + l_g GW).

    Node vectors are layer-normalized (in this branch only, since the two networks have different scales). Edges are
    cosines of these vectors; for the node term both sides are projected to one width, which equation 5 leaves open. The
    student's regions may come from another annotator. Node and edge terms then compare each student region with the
    expert region that it overlaps most (`RegionMasks.matches`), and Gromov-Wasserstein compares the graphs without
    matching. If both have the same nodes it adds nothing to the edge term (GW <= edge): docs/explanation/method.md,
    Gromov-Wasserstein.

    The teacher's projection would be free to collapse if it were trained, so it stays at its random orthogonal
    initialization.
    """

    label = "REACT-KD"

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.of_student = projector(student_width, config.width)
        self.of_teacher = projector(teacher_width, config.width)
        self.of_teacher.requires_grad_(False)

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        config = self.config
        terms = super().forward(student, teacher, views)
        if not config.graph:
            return terms
        matches = [view.masks.matches for view in views]
        ours = Graphs.of(student.nodes, normalize=True)
        theirs = Graphs.of([nodes.detach() for nodes in teacher.nodes], normalize=True)
        common, target = self.of_student(ours.nodes), self.of_teacher(theirs.nodes).detach()
        projected, wanted = replace(ours, nodes=unit(common)), replace(theirs, nodes=unit(target))
        if config.node:
            terms["node"] = config.graph * config.node * mean_node_loss(projected, wanted.matched(matches))
        if config.edge:
            terms["edge"] = config.graph * config.edge * mean_edge_loss(ours, theirs.matched(matches))
        if config.gw:
            start = torch.cdist(projected.nodes.detach(), wanted.nodes).square()
            terms["gw"] = config.graph * config.gw * mean_gw_loss(ours, theirs, start, config.gw_mode)
        return terms
