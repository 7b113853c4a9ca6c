"""Several teachers at once: the two branches (structure and function; dose), each case with those that it has."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.targets import TeacherTargets
from REACTKDTrainLib.models.teacher_heads import BRANCHES


def branch_logits(teacher: TeacherTargets) -> tuple[Tensor, Tensor]:
    """Logits (T, B, K) of the teachers, zeros where a case lacks one, and which it has (T, B) bool."""
    empty = torch.full_like(teacher.logits, float("nan"))
    logits = torch.stack([teacher.branch_logits.get(name, empty) for name in BRANCHES])
    there = logits.isfinite().all(dim=2)
    return torch.where(there[..., None], logits, torch.zeros_like(logits)).detach(), there


def grades_of(views: Sequence[View], like: Tensor) -> Tensor:
    """(B,) int64 on the device of `like`."""
    return torch.tensor([view.grade for view in views], device=like.device)


def true_log_probability(logits: Tensor, grades: Tensor) -> Tensor:
    """Log probability of the true grade (T, B) of logits (T, B, K)."""
    index = grades[None, :, None].expand(len(logits), -1, 1)
    return F.log_softmax(logits, dim=2).gather(2, index)[..., 0]


def divergences(logits: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(p_Tk || p_S) at a temperature, without its factor: (T, B) of (T, B, K) and (B, K)."""
    log_t = F.log_softmax(logits.detach() / temperature, dim=2)
    log_s = F.log_softmax(student / temperature, dim=1)[None]
    return (log_t.exp() * (log_t - log_s)).sum(dim=2)
