"""The head: additive gated attention over the nodes of the region graph. Contributions add up to the logits.

Gating after Ilse et al. 2018, the additive form after Javed et al. 2022 (Additive MIL).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Decision:
    """One case decided.

    logits (K,) = baseline (K,) + sum of contributions (m, K), where contributions = weights (m,) x scores (m, K).
    Nodes: the regions in order, then the topology node last. The learned null node is part of the baseline together
    with the bias; `null_weight` and `null_score` keep it for recomputing without a node.
    """

    logits: Tensor
    baseline: Tensor
    weights: Tensor
    scores: Tensor
    bias: Tensor
    null_weight: Tensor
    null_score: Tensor
    attention: Tensor  # raw attention scores of the m nodes, then of the null node

    @property
    def contributions(self) -> Tensor:
        """(m, K)."""
        return self.weights[:, None] * self.scores

    def without(self, node: int) -> Tensor:
        """Logits with one node removed, in closed form: logits - a/(1-a) (s - (logits - b)). (K,)."""
        a = self.weights[node]
        return self.logits - a / (1 - a) * (self.scores[node] - (self.logits - self.bias))


class AttentionHead(nn.Module):
    """logits = b + sum_i a_i S h_i, a = softmax over nodes of w^T(tanh(V h_i) * sigmoid(U h_i)).

    hidden: width of h; classes: K. There is no other path to the logits.
    """

    def __init__(self, hidden: int, classes: int):
        super().__init__()
        self.value = nn.Linear(hidden, hidden)
        self.gate = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.classify = nn.Linear(hidden, classes, bias=False)
        self.null = nn.Parameter(torch.zeros(hidden))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.normal_(self.score.weight, std=0.02)  # near uniform attention at the start

    def attend(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Attention scores (...,) and class scores (..., K) of nodes (..., hidden)."""
        u = self.score(torch.tanh(self.value(h)) * torch.sigmoid(self.gate(h))).squeeze(-1)
        return u, self.classify(h)

    def forward(self, h: Tensor) -> Decision:
        """h: (m, hidden) of one case."""
        u, s = self.attend(torch.cat([h, self.null[None]]))
        a = torch.softmax(u, dim=0)
        baseline = self.bias + a[-1] * s[-1]
        logits = baseline + (a[:-1, None] * s[:-1]).sum(dim=0)
        return Decision(logits, baseline, a[:-1], s[:-1], self.bias, a[-1], s[-1], u)

    def batch(self, h: Tensor, present: Tensor) -> Tensor:
        """Logits (B, K) of padded cases: h (B, m, hidden), present bool (B, m). For training."""
        null = self.null.expand(len(h), 1, -1)
        u, s = self.attend(torch.cat([h, null], dim=1))
        keep = torch.cat([present, torch.ones_like(present[:, :1])], dim=1)
        a = torch.softmax(u.masked_fill(~keep, float("-inf")), dim=1)
        return self.bias + (a[..., None] * s).sum(dim=1)
