"""Several teachers, weighted per case by their loss on the true grade, after AWMT-KD (Ben Loussaief et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from REACTKDTrainLib.data.view import View, grades_of
from REACTKDTrainLib.distillation.config import DistillationConfig
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.graph import edge_loss, node_loss, normalized, projector
from REACTKDTrainLib.distillation.losses import divergence
from REACTKDTrainLib.distillation.maps import pooled_graph
from REACTKDTrainLib.distillation.several import branch_logits, true_log_probability
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher_heads import BRANCHES

SHARPNESS = 1.0


def teacher_weights(logits: Tensor, there: Tensor, grades: Tensor) -> Tensor:
    """w_k = softmax_k(-CE(z_Tk, y) / tau_w): (T, B), 0 for a teacher that a case lacks; each case has at least one.

    logits: (T, B, K); there: (T, B) bool, which teachers a case has; grades: (B,).
    For two teachers this is CA-MKD's (1 - softmax_k(CE)) / (T - 1) (Zhang et al., ICASSP 2022).
    """
    u = true_log_probability(logits, grades) / SHARPNESS
    return torch.softmax(u.masked_fill(~there, float("-inf")), dim=0)


class AdaptiveStyle(Distiller, name="awmt"):
    """AWMT-style, re-derived: Knowledge-Based Systems 315, 113196 was not available. Known is only that it has several
    teachers, adaptive weights and terms on logits, features and graphs. Our formula:

    L = sum_k w_k tau^2 KL(T_k || S) + b1 sum_k w_k |v^S - v^Tk|^2 + b2 sum_k w_k L_edge(S, T_k)

    with weights per case (`teacher_weights`) and v the pooled graphs, projected and normalized as for all compared
    methods. The teachers' projections are fixed, because trained ones would collapse. b1 = b2 = `feature`; the first
    term has the weight `logits`.
    """

    label = "AWMT-style (re-derived)"

    def __init__(self, config: DistillationConfig, student_width: int, teacher_width: int):
        super().__init__(config, student_width, teacher_width)
        self.of_student = projector(2 * student_width, config.width)
        self.of_teachers = nn.ModuleList([projector(2 * teacher_width, config.width) for _ in BRANCHES])
        self.of_teachers.requires_grad_(False)

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        logits, there = branch_logits(teacher)
        weights = teacher_weights(logits, there, grades_of(views, logits.device)).to(student.logits)
        pooled, edge = [], []
        for row, (nodes, view) in enumerate(zip(student.nodes, views, strict=True)):
            ours = normalized(nodes)
            vector = self.of_student(pooled_graph(ours))[None]
            matches = view.masks.matches.to(ours.device)
            for k, branch in enumerate(BRANCHES):
                if there[k, row]:
                    theirs = normalized(teacher.branch_nodes[branch][row].to(ours)).detach()
                    target = self.of_teachers[k](pooled_graph(theirs))[None]
                    pooled.append(weights[k, row] * node_loss(vector, target))
                    edge.append(weights[k, row] * edge_loss(ours, theirs[matches]))
        scale = self.config.feature / len(views)
        return {
            **self.logit_terms(student.logits, teacher, views),
            "pooled": scale * torch.stack(pooled).sum(),
            "edge": scale * torch.stack(edge).sum(),
        }

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        logits, there = branch_logits(teacher)
        weights = teacher_weights(logits, there, grades_of(views, logits.device))
        tau = self.config.temperature
        kl = (weights * divergence(student, logits, tau)).sum(dim=0).mean()
        return {"logits": self.config.logits * tau**2 * kl}
