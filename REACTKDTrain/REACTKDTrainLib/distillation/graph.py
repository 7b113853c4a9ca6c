"""The graph of regions: nodes on the unit sphere, cosine edges, and the losses on nodes and edges.

`Graphs` holds a batch as padded matrices, and the `mean_` losses process the whole batch: a step has dozens of graphs
with two to six nodes, and a loop over them would be dominated by call overhead. Values and gradients equal those of
computing one graph after the other and averaging over the cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from REACTKDTrainLib.distillation.gromov import Mode, plan_between
from REACTKDTrainLib.distillation.gromov_batch import plan_values, semirelaxed_plans

_EPS = 1e-6


def unit(vectors: Tensor) -> Tensor:
    """Return rows (n, d) scaled to length 1; a zero row stays zero, with a finite gradient."""
    return vectors / vectors.square().sum(dim=-1, keepdim=True).add(_EPS**2).sqrt()


def edges(nodes: Tensor) -> Tensor:
    """Cosine similarities e_ij = <v_i, v_j> / (|v_i| |v_j|), (n, n), of nodes (n, d) (equation 4 of the paper)."""
    u = unit(nodes)
    return u @ u.T


def node_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(1/n) sum_i |v_i^S - v_i^T|^2 of unit vectors (equation 5). student, teacher: (n, d), row i the same region."""
    return (unit(student) - unit(teacher.detach())).square().sum(dim=1).mean()


def edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(1/n^2) sum_ij (e_ij^S - e_ij^T)^2 (equation 6). student, teacher: (n, d), row i the same region."""
    return (edges(student) - edges(teacher.detach())).square().mean()


def normalized(nodes: Tensor) -> Tensor:
    """Node vectors (n, C), each with zero mean and unit variance over its channels."""
    return F.layer_norm(nodes, nodes.shape[-1:])


def projector(channels: int, width: int) -> nn.Linear:
    """Linear map of node vectors to a common width, initialized orthogonal; discarded after training."""
    layer = nn.Linear(channels, width, bias=False)
    nn.init.orthogonal_(layer.weight)
    return layer


@dataclass(frozen=True, eq=False)
class Graphs:
    """B graphs, padded with zeros. nodes: (B, N, d), unit length; rows: (B, N) bool, the real nodes; counts: (B,)."""

    nodes: Tensor
    rows: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, nodes: Sequence[Tensor], normalize: bool = False) -> Graphs:
        """From the node vectors (n_b, d) of each case. normalize: apply `normalized` to them."""
        padded = pad_sequence(list(nodes), batch_first=True)
        return cls(unit(normalized(padded) if normalize else padded), *_real(nodes, padded))

    @property
    def edges(self) -> Tensor:
        """(B, N, N) cosines; 0 where a node is padding."""
        return self.nodes @ self.nodes.transpose(1, 2)

    @property
    def distances(self) -> Tensor:
        """(B, N, N), 1 - cosine, 0 on the diagonal and where a node is padding."""
        itself = torch.eye(self.rows.shape[1], dtype=torch.bool, device=self.rows.device)
        return (1 - self.edges) * (self.rows[:, :, None] & self.rows[:, None] & ~itself)

    def matched(self, matches: Sequence[Tensor]) -> Graphs:
        """Return the graphs with their nodes reordered: node i of case b becomes node matches[b][i] of this one."""
        index = pad_sequence([m.to(self.nodes.device) for m in matches], batch_first=True)
        nodes = self.nodes.gather(1, index[..., None].expand(-1, -1, self.nodes.shape[2]))
        rows, counts = _real(matches, index)
        return Graphs(nodes * rows[..., None], rows, counts)


def _real(parts: Sequence[Tensor], padded: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Return which rows (B, N) of `padded` are real, and the number of rows of each part."""
    counts = tuple(map(len, parts))
    rows = torch.arange(padded.shape[1], device=padded.device) < torch.tensor(counts, device=padded.device)[:, None]
    return rows, counts


def mean_node_loss(student: Graphs, teacher: Graphs) -> Tensor:
    """Equation 5, mean over cases; both graphs with the same nodes."""
    each = (student.nodes - teacher.nodes).square().sum(dim=2) * student.rows
    return (each.sum(dim=1) / student.rows.sum(dim=1)).mean()


def mean_edge_loss(student: Graphs, teacher: Graphs) -> Tensor:
    """Equation 6, mean over cases; both graphs with the same nodes."""
    each = (student.edges - teacher.edges).square().sum(dim=(1, 2))
    return (each / student.rows.sum(dim=1).square()).mean()


def mean_gw_loss(student: Graphs, teacher: Graphs, costs: Tensor, mode: Mode) -> Tensor:
    """Equation 7, mean over cases, at detached plans initialized from `costs` (B, N, M).

    A case with one node on either side contributes 0.
    """
    ds, dt = student.distances, teacher.distances.detach()
    several = (student.rows.sum(dim=1) > 1) & (teacher.rows.sum(dim=1) > 1)
    if mode == "semirelaxed":
        plans = semirelaxed_plans(ds, dt, student.rows, teacher.rows, costs).to(ds)
    else:
        plans = torch.zeros_like(costs, dtype=ds.dtype)
        for b, (n, m) in enumerate(zip(student.counts, teacher.counts, strict=True)):
            plans[b, :n, :m] = plan_between(ds[b, :n, :n], dt[b, :m, :m], costs[b, :n, :m], mode).to(plans)
    return plan_values(ds, dt, plans * several[:, None, None]).clamp_min(0).mean()
