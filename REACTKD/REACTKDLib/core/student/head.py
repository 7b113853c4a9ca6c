"""The head: additive gated attention over the nodes of the region graph. Contributions add up to the logits.

The gating follows Ilse et al. 2018, the additive form Javed et al. 2022 (Additive MIL).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from REACTKDLib.core.student.explain import Votes


@dataclass(frozen=True, eq=False)
class Decision:
    """The output of the head for one case, or for B cases with B in front of every shape.

    logits (K,) = baseline (K,) + sum of contributions (m, K), where contributions = weights (m,) x scores (m, K).
    Nodes: the regions in order, then the topology node; padding has weight 0. The learned null node and the bias form
    the baseline; `null_weight` and `null_score` are kept for computing the logits without a node. attention: raw
    attention scores of the m nodes, then of the null node. embeddings (m, hidden) of the nodes.
    """

    logits: Tensor
    weights: Tensor
    scores: Tensor
    bias: Tensor
    null_weight: Tensor
    null_score: Tensor
    attention: Tensor
    embeddings: Tensor

    @property
    def baseline(self) -> Tensor:
        """(K,): the part that no node explains, b + a_0 s_0."""
        return self.bias + self.null_weight[..., None] * self.null_score

    @property
    def contributions(self) -> Tensor:
        """(m, K)."""
        return self.weights[..., None] * self.scores

    @property
    def regions(self) -> Tensor:
        """(n, hidden): embeddings of the regions, without the topology node."""
        return self.embeddings[..., :-1, :]

    @property
    def region_scores(self) -> Tensor:
        """(n, K): scores of the regions, without the topology node."""
        return self.scores[..., :-1, :]

    @property
    def region_attention(self) -> Tensor:
        """(n,): raw attention scores of the regions, without the topology node."""
        return self.attention[..., :-2]

    @property
    def summary(self) -> Tensor:
        """(hidden,): attention-weighted sum of the embeddings of the regions."""
        return (self.weights[..., :-1, None] * self.regions).sum(dim=-2)

    def votes(self) -> Votes:
        """Return the output for one case in float64, for shares and for the logits without nodes."""
        arrays = (self.weights, self.scores, self.bias, self.null_score, self.null_weight)
        weights, scores, bias, null, null_weight = (t.detach().double().cpu().numpy() for t in arrays)
        return Votes(weights, scores, bias, null_weight * null, float(null_weight))


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
        nn.init.normal_(self.score.weight, std=0.02)  # nearly uniform attention at the start

    def forward(self, h: Tensor, present: Tensor | None = None) -> Decision:
        """h: (..., m, hidden), the nodes of one case or of several padded ones; present: (..., m) bool, None: all."""
        nodes = torch.cat([h, self.null.expand(*h.shape[:-2], 1, -1)], dim=-2)
        u = self.score(torch.tanh(self.value(nodes)) * torch.sigmoid(self.gate(nodes))).squeeze(-1)
        s = self.classify(nodes)
        if present is not None:
            u = u.masked_fill(~F.pad(present, (0, 1), value=True), float("-inf"))
        a = torch.softmax(u, dim=-1)
        logits = self.bias + (a[..., None] * s).sum(dim=-2)
        return Decision(logits, a[..., :-1], s[..., :-1, :], self.bias, a[..., -1], s[..., -1, :], u, h)
