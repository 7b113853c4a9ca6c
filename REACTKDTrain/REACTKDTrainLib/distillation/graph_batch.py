"""The losses on graphs for a whole batch at once: padded matrices in place of a loop over cases.

A step holds dozens of graphs of two to six nodes; the loop's cost is that of its calls, not of its arithmetic. Values
and gradients are those of one graph after the other, averaged over the cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from REACTKDTrainLib.distillation.graph import unit
from REACTKDTrainLib.distillation.gromov import Mode, plan_between
from REACTKDTrainLib.distillation.gromov_batch import plan_values, semirelaxed_plans

#: teacher nodes up to which the search for many graphs finds what `plan_between` finds; beyond it may end higher
_EXACT_TOGETHER = 4


@dataclass(frozen=True, eq=False)
class Graphs:
    """B graphs, padded with zeros. nodes: (B, N, d) of length 1; rows: (B, N) bool, the real ones; counts: of each."""

    nodes: Tensor
    rows: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, nodes: Sequence[Tensor]) -> Graphs:
        """From the node vectors (n_b, d) of each case."""
        counts = tuple(len(n) for n in nodes)
        padded = pad_sequence(list(nodes), batch_first=True)
        rows = torch.arange(padded.shape[1], device=padded.device) < torch.tensor(counts, device=padded.device)[:, None]
        return cls(unit(padded), rows, counts)

    @property
    def edges(self) -> Tensor:
        """(B, N, N) cosines; 0 where a node is padding."""
        return self.nodes @ self.nodes.transpose(1, 2)

    @property
    def distances(self) -> Tensor:
        """(B, N, N), 1 - cosine, 0 on the diagonal and where a node is padding."""
        real = (self.rows[:, :, None] & self.rows[:, None]) & ~torch.eye(
            self.rows.shape[1], dtype=torch.bool, device=self.rows.device
        )
        return (1 - self.edges) * real

    def matched(self, matches: Sequence[Tensor]) -> Graphs:
        """The graphs with nodes in another order: node i of case b is node matches[b][i] here."""
        index = pad_sequence([m.to(self.nodes.device) for m in matches], batch_first=True)
        nodes = self.nodes.gather(1, index[..., None].expand(-1, -1, self.nodes.shape[2]))
        counts = tuple(len(m) for m in matches)
        rows = torch.arange(index.shape[1], device=index.device) < torch.tensor(counts, device=index.device)[:, None]
        return Graphs(nodes * rows[..., None], rows, counts)


def mean_node_loss(student: Graphs, teacher: Graphs) -> Tensor:
    """Equation 5, the mean over cases; both with the same nodes."""
    each = (student.nodes - teacher.nodes).square().sum(dim=2) * student.rows
    return (each.sum(dim=1) / student.rows.sum(dim=1)).mean()


def mean_edge_loss(student: Graphs, teacher: Graphs) -> Tensor:
    """Equation 6, the mean over cases; both with the same nodes."""
    each = (student.edges - teacher.edges).square().sum(dim=(1, 2))
    return (each / student.rows.sum(dim=1).square()).mean()


def mean_gw_loss(student: Graphs, teacher: Graphs, costs: Tensor, mode: Mode) -> Tensor:
    """Equation 7, the mean over cases, at detached plans that start from `costs` (B, N, M).

    A graph of one node on either side counts as 0.
    """
    ds, dt = student.distances, teacher.distances.detach()
    plans = ds.new_zeros((len(ds), ds.shape[1], dt.shape[1]))
    several = (student.rows.sum(dim=1) > 1) & (teacher.rows.sum(dim=1) > 1)
    if mode == "semirelaxed":
        plans = semirelaxed_plans(ds, dt, student.rows, teacher.rows, costs).to(ds) * several[:, None, None]
    own, other, start = (x.detach().cpu().double() for x in (ds, dt, costs))
    for b, (n, m) in enumerate(zip(student.counts, teacher.counts, strict=True)):
        if n > 1 and m > 1 and not (mode == "semirelaxed" and m <= _EXACT_TOGETHER):
            plan = plan_between(own[b, :n, :n], other[b, :m, :m], start[b, :n, :m], mode)
            plans[b, :n, :m] = plan.to(plans)
    return plan_values(ds, dt, plans).clamp_min(0).mean()
