"""Terms of the loss, each a mean over the samples of one process, so that averaging over processes is exact."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.losses import focal_loss
from REACTKDTrainLib.training.config import LossConfig


def grades_of(views: Sequence[View], device: torch.device) -> Tensor:
    """(B,) int64."""
    return torch.tensor([view.grade for view in views], device=device)


def focal(logits: Tensor, grades: Tensor, config: LossConfig) -> Tensor:
    """Focal loss of (B, K). Rows that are NaN (a branch that the case lacks) count as 0 in the mean over B."""
    known = logits.isfinite().all(dim=1)
    if not known.any():
        return logits.new_zeros(())
    weights = torch.tensor(config.class_weights, device=logits.device)
    return focal_loss(logits[known], grades[known], config.gamma, weights) * (known.sum() / len(logits))


def summed(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add 'loss', the sum; the terms themselves are told, not differentiated."""
    return {"loss": torch.stack(list(terms.values())).sum(), **{k: v.detach() for k, v in terms.items()}}


def score_of(logits: Tensor, grades: Tensor) -> dict[str, float]:
    """Measures on inner cases: 'score' the mean log likelihood (a few cases decide little by rank), 'accuracy'."""
    logits = logits.detach()
    log_p = torch.log_softmax(logits.double(), dim=1).gather(1, grades[:, None])
    right = (logits.argmax(dim=1) == grades).double().mean()
    return {"score": float(log_p.mean()), "accuracy": float(right)}
