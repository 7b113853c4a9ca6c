"""What a network says of a batch of cases: the grade, and the graph it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, eq=False)
class GraphOutput:
    """One batch of B cases.

    logits: (B, K). nodes: of each case (n, C), means of the fused map over its regions (equation 3 of arXiv
    2508.02104). maps: of each case (C, d, h, w), the fused map after CBAM3D at a quarter of the input grid.
    hidden: (B, H), region embeddings summed by attention. branch_logits: name -> (B, K), of a teacher's branches.
    branch_nodes, branch_maps: name -> nodes and maps of the branches. embeddings: of each
    case (n, H).
    """

    logits: Tensor
    nodes: Sequence[Tensor]
    maps: Sequence[Tensor]
    hidden: Tensor
    branch_logits: Mapping[str, Tensor] = field(default_factory=dict)
    branch_nodes: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    embeddings: Sequence[Tensor] = ()
    branch_maps: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)
