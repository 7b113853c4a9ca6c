"""Distillation of logits (Hinton, Vinyals and Dean 2015; equations 1 and 2 of arXiv 2508.02104)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(p_T || p_S), the mean over cases, p = softmax(z / tau).

    student, teacher: (B, K). The factor tau^2 keeps the gradient's size when tau changes. Raises: ValueError.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    log_p_teacher = F.log_softmax(teacher.detach() / temperature, dim=1)
    log_p_student = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * (log_p_teacher.exp() * (log_p_teacher - log_p_student)).sum(dim=1).mean()
