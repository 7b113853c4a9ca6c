"""Losses on the grade, divergences between two outputs, and modality dropout for the student."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SURE = 1e-12


def focal_loss(logits: Tensor, grade: Tensor, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    """- mean_b alpha_c (1 - p_c)^gamma ln p_c (Lin et al. 2017; equation 17 of arXiv 2508.02104).

    logits: (B, K); grade: (B,) indices; class_weights alpha: (K,) or None for ones. gamma = 0 is cross-entropy.
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, grade[:, None])[:, 0]
    weight = 1.0 if class_weights is None else class_weights[grade]
    # for gamma < 1 the derivative diverges at 1 - p = 0, where confident outputs round to; the spacing below 1 is 6e-8
    return -(weight * (1 - log_p.exp()).clamp_min(_SURE) ** gamma * log_p).mean()


def divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(p_T || p_S) of softmaxes of logits at a temperature, over the last axis; the teacher's logits are a constant.

    student, teacher: (..., K), broadcastable. Returns (...).
    """
    log_t, log_s = (F.log_softmax(z / temperature, dim=-1) for z in (teacher.detach(), student))
    return (log_t.exp() * (log_t - log_s)).sum(dim=-1)


def logit_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(p_T || p_S), mean over cases, p = softmax(z / tau) (Hinton, Vinyals and Dean 2015; equations 1 and 2 of
    arXiv 2508.02104).

    student, teacher: (B, K). The factor tau^2 keeps the size of the gradient when tau changes. Raises: ValueError.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    return temperature**2 * divergence(student, teacher, temperature).mean()


def masked_mse(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the entries where `mask` (broadcastable, 0 or 1) is set and the target is not NaN; 0 if
    there are none.
    """
    mask = mask.expand_as(predicted) * target.isfinite()
    return ((predicted - target.nan_to_num()).square() * mask).sum() / mask.sum().clamp_min(1.0)


def random_presence(n: int, modalities: tuple[str, ...], rate: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Modality dropout: each modality is absent with probability `rate`, but never all. Returns modality -> (n,) 0 or
    1.

    A row that would lose all modalities is drawn again, so all modalities keep the same rate. Raises: ValueError
    without any modality.
    """
    if not modalities:
        raise ValueError("a case needs an image of which one can be kept")
    keep = torch.rand(n, len(modalities), generator=generator) >= rate
    while not keep.any(dim=1).all():
        empty = ~keep.any(dim=1)
        keep[empty] = torch.rand(int(empty.sum()), len(modalities), generator=generator) >= rate
    return {m: keep[:, i].float() for i, m in enumerate(modalities)}
