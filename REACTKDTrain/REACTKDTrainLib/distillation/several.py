"""Several teachers at once: the two branches (structure-function and dose); a case may lack one of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.teacher_heads import BRANCHES


def branch_logits(teacher: GraphOutput) -> tuple[Tensor, Tensor]:
    """Return logits (T, B, K) of the teachers, 0 where a case lacks one, and (T, B) bool, which teachers it has."""
    empty = torch.full_like(teacher.logits, float("nan"))
    logits = torch.stack([teacher.branch_logits.get(name, empty) for name in BRANCHES])
    there = logits.isfinite().all(dim=2)
    return torch.where(there[..., None], logits, torch.zeros_like(logits)).detach(), there


def true_log_probability(logits: Tensor, grades: Tensor) -> Tensor:
    """Log probability (T, B) of the true grade under logits (T, B, K)."""
    index = grades[None, :, None].expand(len(logits), -1, 1)
    return F.log_softmax(logits, dim=2).gather(2, index)[..., 0]
