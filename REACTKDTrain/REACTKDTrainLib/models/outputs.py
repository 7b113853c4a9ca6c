"""Output of a network for a batch of cases: logits, the region graph, and the targets that a teacher provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.node_network import NodeBatch


@dataclass(frozen=True, eq=False)
class GraphOutput:
    """One batch of B cases, of a student or a teacher.

    logits: (B, K). nodes: for each case (n, C), means of the fused map over its regions (equation 3 of arXiv
    2508.02104). maps: for each case (C, d, h, w), the fused map after CBAM3D at a quarter of the input grid, or () if
    no method needs them. hidden: (B, H), attention-weighted sum of the region embeddings. branch_logits: name -> (B,
    K), of a teacher's branches, NaN where a case lacks the branch. branch_nodes and the other fields of branches: name
    -> the value of the branch for each case, or None. embeddings: for each case (n, H). scores, attention: for each
    case (n, K), the logits of every region alone, and (n,), raw attention scores, -inf for a region that was hidden
    from the head.
    """

    logits: Tensor
    nodes: Sequence[Tensor]
    maps: Sequence[Tensor] = ()
    hidden: Tensor | None = None
    branch_logits: Mapping[str, Tensor] = field(default_factory=dict)
    branch_nodes: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)
    embeddings: Sequence[Tensor] = ()
    branch_maps: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)
    scores: Sequence[Tensor] = ()
    attention: Sequence[Tensor] = ()
    branch_scores: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)
    branch_attention: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)

    def as_targets(self, maps: bool = False) -> GraphOutput:
        """Return the targets of a frozen teacher: without gradients and embeddings, and without maps unless `maps` is
        True.
        """
        kept = replace(self, embeddings=()) if maps else replace(self, embeddings=(), maps=(), branch_maps={})
        return kept._mapped(Tensor.detach)

    def to(self, device: torch.device | str) -> GraphOutput:
        """Return a copy on another device."""
        return self._mapped(lambda value: value.to(device))

    def taken(self, index: Tensor) -> GraphOutput:
        """Return the output of selected cases (k,) int64, in their order."""
        rows = index.tolist()

        def pick(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {name: pick(own) for name, own in value.items()}
            return value[index] if isinstance(value, Tensor) else value and [value[row] for row in rows]

        return GraphOutput(**{name: pick(value) for name, value in vars(self).items()})

    def of_branch(self, name: str) -> GraphOutput:
        """Return the output of one branch as if it were the only teacher. Raises: KeyError for an unknown branch."""
        logits, nodes = self.branch_logits[name], self.branch_nodes[name]
        if any(n is None for n in nodes):
            raise KeyError(f"a case has no branch {name}")
        maps = self.branch_maps.get(name, ())
        own = GraphOutput(logits, nodes, maps, None, {name: logits}, {name: nodes}, (), {name: maps} if maps else {})
        return replace(own, scores=self.branch_scores.get(name, ()), attention=self.branch_attention.get(name, ()))

    @classmethod
    def joined(cls, parts: Sequence[GraphOutput]) -> GraphOutput:
        """Join the targets of single cases into one batch; a branch that a case lacks is NaN or None there."""
        empty = torch.full_like(parts[0].logits, float("nan"))

        def branches(kind: str, lacking: Any) -> dict[str, list]:
            own = [getattr(part, kind) for part in parts]
            return {name: [of.get(name, lacking) for of in own] for name in dict.fromkeys(n for of in own for n in of)}

        return cls(
            torch.cat([p.logits for p in parts]),
            [n for p in parts for n in p.nodes],
            [m for p in parts for m in p.maps],
            None if parts[0].hidden is None else torch.cat([p.hidden for p in parts]),
            {name: torch.cat(found) for name, found in branches("branch_logits", empty).items()},
            scores=[s for p in parts for s in p.scores],
            attention=[a for p in parts for a in p.attention],
            **{
                kind: {name: sum(map(list, found), []) for name, found in branches(kind, [None]).items()}
                for kind in ("branch_nodes", "branch_maps", "branch_scores", "branch_attention")
            },
        )

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> GraphOutput:
        return GraphOutput(**{name: _changed(value, change) for name, value in vars(self).items()})


def region_fields(batch: NodeBatch, decision: Decision) -> dict[str, list[Tensor]]:
    """Return the output of a head for each region, case by case: embeddings, scores and attention of `GraphOutput`."""
    own = {"embeddings": decision.regions, "scores": decision.region_scores, "attention": decision.region_attention}
    return {name: batch.per_case(value) for name, value in own.items()}


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply `change` to every tensor in nested mappings and sequences; None stays None."""
    if value is None or isinstance(value, Tensor):
        return value if value is None else change(value)
    if isinstance(value, Mapping):
        return {name: _changed(own, change) for name, own in value.items()}
    return [_changed(own, change) for own in value]
