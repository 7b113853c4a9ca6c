"""A teacher's region head: node vectors of a map and fixed ones, embedded, then the student's own attention head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from REACTKDLib.core.student.head import AttentionHead
from REACTKDLib.core.student.network import Standardize
from REACTKDLib.core.student.pooling import moments
from REACTKDTrainLib.data.fixed_nodes import relative
from REACTKDTrainLib.models.sample_dropout import SampleDropout


class GraphHead(nn.Module):
    """Grade a graph of regions.

    width: channels of the map; inputs: names of the images whose fixed node vectors (n, fixed_size) join; classes: K.
    """

    def __init__(self, width: int, inputs: tuple[str, ...], fixed_size: int, hidden: int, classes: int, dropout: float):
        super().__init__()
        self.inputs = inputs
        self.map_in = nn.Linear(4 * width, hidden)
        self.fixed_scale = nn.ModuleDict({m: Standardize(2 * fixed_size) for m in inputs if fixed_size})
        self.fixed_in = nn.ModuleDict({m: nn.Linear(2 * fixed_size, hidden) for m in inputs if fixed_size})
        self.topology_scale = Standardize(7)
        self.topology_in = nn.Linear(7, hidden)
        self.kind = nn.Parameter(torch.zeros(2, hidden))
        self.drop = SampleDropout(dropout)
        if fixed_size:  # the encoders join a head that may have learned from fixed vectors first, and earn their part
            nn.init.zeros_(self.map_in.weight)
            nn.init.zeros_(self.map_in.bias)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.head = AttentionHead(hidden, classes)

    def forward(
        self, level: Tensor | None, occupancy: Tensor, fixed: Mapping[str, Tensor], topology: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """level: (C, d, h, w), or None to grade by fixed vectors alone; occupancy: (n, d, h, w) on its grid;
        fixed: image -> (n, Q); topology: (7,).

        Returns logits (K,), node means (n, C), and the embedding summed by attention (hidden,).
        """
        total = self.kind[[0] + [1] * (len(occupancy) - 1)]
        mean = occupancy.new_zeros((len(occupancy), 0))
        if level is not None:
            mean, spread = moments(level, occupancy)
            total = total + self.map_in(self.drop(relative(torch.cat([mean, torch.log(spread + 0.01)], dim=1))))
        for name, layer in self.fixed_in.items():
            if name in fixed:
                total = total + layer(self.drop(self.fixed_scale[name](relative(fixed[name]))))
        h = self.mix(total)
        t = self.mix(self.topology_in(self.drop(self.topology_scale(topology))))[None]
        decision = self.head(torch.cat([h, t]))
        return decision.logits, mean, (decision.weights[:-1, None] * h).sum(dim=0)
