"""What a frozen teacher says of a batch: the constants that the student learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from REACTKDTrainLib.models.outputs import GraphOutput


@dataclass(frozen=True, eq=False)
class TeacherTargets:
    """Of B cases, all detached. logits: (B, K) of the fused teacher. nodes: of each case (m, C), over the expert's
    regions. branch_logits: name -> (B, K), NaN where a case lacks the branch. branch_nodes: name -> of each case (m, C)
    or None. maps: of each case (C, d, h, w), or () where no method needs them. hidden: (B, H). branch_maps: name -> of
    each case its map or None, where maps are kept.
    """

    logits: Tensor
    nodes: Sequence[Tensor]
    branch_logits: Mapping[str, Tensor] = field(default_factory=dict)
    branch_nodes: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)
    maps: Sequence[Tensor] = ()
    hidden: Tensor | None = None
    branch_maps: Mapping[str, Sequence[Tensor | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, output: GraphOutput, maps: bool = False) -> TeacherTargets:
        """Take what a teacher gave, without its graph of gradients."""
        return cls(
            output.logits.detach(),
            [n.detach() for n in output.nodes],
            {b: v.detach() for b, v in output.branch_logits.items()},
            {b: [_detached(n) for n in v] for b, v in output.branch_nodes.items()},
            [m.detach() for m in output.maps] if maps else (),
            output.hidden.detach(),
            {b: [_detached(m) for m in v] for b, v in output.branch_maps.items()} if maps else {},
        )

    @classmethod
    def joined(cls, parts: Sequence[TeacherTargets]) -> TeacherTargets:
        """One batch from targets of single cases."""
        branches = {b for p in parts for b in p.branch_logits}
        mapped = sorted({b for p in parts for b in p.branch_maps})
        empty = torch.full_like(parts[0].logits, float("nan"))
        return cls(
            torch.cat([p.logits for p in parts]),
            [n for p in parts for n in p.nodes],
            {b: torch.cat([p.branch_logits.get(b, empty) for p in parts]) for b in sorted(branches)},
            {b: [n for p in parts for n in p.branch_nodes.get(b, [None])] for b in sorted(branches)},
            [m for p in parts for m in p.maps],
            None if parts[0].hidden is None else torch.cat([p.hidden for p in parts]),
            {b: [m for p in parts for m in p.branch_maps.get(b, [None])] for b in mapped},
        )

    def of_branch(self, name: str) -> TeacherTargets:
        """What one branch says, as if it were the only teacher. Raises: KeyError for one that is not there."""
        logits, nodes = self.branch_logits[name], self.branch_nodes[name]
        if any(n is None for n in nodes):
            raise KeyError(f"a case has no branch {name}")
        maps = self.branch_maps.get(name, ())
        return TeacherTargets(logits, nodes, {name: logits}, {name: nodes}, maps, None, {name: maps} if maps else {})

    def to(self, device: torch.device | str) -> TeacherTargets:
        """The same on another device."""
        return TeacherTargets(
            self.logits.to(device),
            [n.to(device) for n in self.nodes],
            {b: v.to(device) for b, v in self.branch_logits.items()},
            {b: [None if n is None else n.to(device) for n in v] for b, v in self.branch_nodes.items()},
            [m.to(device) for m in self.maps],
            None if self.hidden is None else self.hidden.to(device),
            {b: [None if m is None else m.to(device) for m in v] for b, v in self.branch_maps.items()},
        )


def _detached(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach()
