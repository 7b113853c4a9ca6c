"""Distillation of logits alone (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.distiller import Distiller
from REACTKDTrainLib.distillation.losses import logit_loss
from REACTKDTrainLib.models.outputs import GraphOutput


class LogitDistillation(Distiller, name="kd"):
    """Originally L = (1 - a) CE + a tau^2 KL(p_T || p_S); here focal loss + `logits` tau^2 KL, from the fused teacher.

    Methods that include this term are subclasses.
    """

    label = "KD (logits)"

    def forward(self, student: GraphOutput, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        return self.logit_terms(student.logits, teacher, views)

    def logit_terms(self, student: Tensor, teacher: GraphOutput, views: Sequence[View]) -> dict[str, Tensor]:
        return {"logits": self.config.logits * logit_loss(student, teacher.logits, self.config.temperature)}
