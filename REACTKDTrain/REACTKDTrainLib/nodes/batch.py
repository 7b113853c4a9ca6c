"""A step's cases, taken from a table: which masks the student sees, and what a network says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from REACTKDLib.core.student.head import AttentionHead
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.nodes.table import NodeTable


@dataclass(frozen=True, eq=False)
class NodeBatch:
    """B cases, one set of masks each. fixed: modality -> (B, n, Q); fused: subset -> (B, n, F); rows: (B, n) bool;
    topology: (B, 7); matches: (B, n).
    """

    fixed: Mapping[str, Tensor]
    fused: Mapping[str, Tensor]
    rows: Tensor
    topology: Tensor
    matches: Tensor

    @classmethod
    def of(cls, table: NodeTable, index: Tensor, variant: Tensor | int = 0) -> NodeBatch:
        """Cases `index` (B,) of a table with sets of masks `variant` (B,), or one for all."""
        v = torch.as_tensor(variant).expand(len(index))
        rows = table.rows[v, index]
        last = max(int(rows.sum(dim=1).max()), 1)
        fused = {s: x[v, index, :last] for s, x in table.fused.items()} if int(v.max()) < _encoded(table) else {}
        fixed = {m: x[v, index, :last] for m, x in table.fixed.items()}
        return cls(fixed, fused, rows[:, :last], table.topology[v, index], table.matches[v, index, :last])

    @property
    def counts(self) -> list[int]:
        """How many nodes each case has."""
        return self.rows.sum(dim=1).tolist()

    def per_case(self, values: Tensor) -> list[Tensor]:
        """(B, n, ...) without its padding: of each case (n_b, ...)."""
        return [values[row, :count] for row, count in enumerate(self.counts)]


def _encoded(table: NodeTable) -> int:
    return min((len(x) for x in table.fused.values()), default=0)


def student_output(
    student: Student, batch: NodeBatch, presence: Mapping[str, Tensor], hidden_nodes: Tensor | None = None
) -> GraphOutput:
    """Grade a batch. presence: modality -> (B,) 0 or 1. hidden_nodes: (B, n) bool, lesions that the head does not see.

    `nodes` of the output are the region embeddings, which are what graphs are made of where there are no maps.

    Raises: ValueError when the student has an encoder and the table no moments of it.
    """
    columns = columns_of(student.config.blocks)
    fixed = {m: batch.fixed[m][..., columns] for m in student.config.modalities} if student.fixed_size else {}
    fused = batch.topology.new_zeros((*batch.rows.shape, student.fused_size))
    if student.fused_size:
        _fill_fused(fused, student, batch, presence)
    h = student.embed(fused, fixed, dict(presence))
    t = student.embed_topology(batch.topology)[:, None]
    rows = batch.rows if hidden_nodes is None else batch.rows & ~hidden_nodes
    logits, hidden = graded(student.head, h, t, rows)
    nodes = batch.per_case(h)
    return GraphOutput(logits, nodes, [], hidden, embeddings=nodes)


def _fill_fused(out: Tensor, student: Student, batch: NodeBatch, presence: Mapping[str, Tensor]) -> None:
    if not batch.fused:
        raise ValueError("the table has no encoder moments for these masks; make it with the student's encoder")
    given = torch.stack([presence[m] > 0 for m in student.config.modalities], dim=1)
    for subset in given.unique(dim=0):
        name = "+".join(m for m, there in zip(student.config.modalities, subset.tolist(), strict=True) if there)
        of_it = (given == subset).all(dim=1)
        out[of_it] = batch.fused[name][of_it]


def graded(head: AttentionHead, h: Tensor, t: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, K), and the region embeddings summed by attention (B, hidden).

    h: (B, n, hidden) of regions; t: (B, 1, hidden) of topology; rows: (B, n) bool.
    """
    always = torch.ones_like(rows[:, :1])
    nodes = torch.cat([h, t, head.null.expand(len(h), 1, -1)], dim=1)
    keep = torch.cat([rows, always, always], dim=1)
    u, s = head.attend(nodes)
    a = torch.softmax(u.masked_fill(~keep, float("-inf")), dim=1)
    return head.bias + (a[..., None] * s).sum(dim=1), (a[:, : h.shape[1], None] * h).sum(dim=1)
