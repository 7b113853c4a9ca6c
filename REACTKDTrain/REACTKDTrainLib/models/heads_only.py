"""Heads on fixed node vectors alone, a whole batch at once: no image is encoded, so thousands of steps take minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.sample_dropout import SampleDropout
from REACTKDTrainLib.models.teacher import BRANCHES, PET, Teacher


@dataclass(frozen=True, eq=False)
class NodeBatch:
    """fixed: image -> (B, n, Q), padded with zeros; present: image -> (B,) 0 or 1; rows: (B, n) bool, the real nodes;
    topology: (B, 7); counts: nodes of each case.
    """

    fixed: dict[str, Tensor]
    present: dict[str, Tensor]
    rows: Tensor
    topology: Tensor
    counts: list[int]

    @classmethod
    def of(
        cls, views: Sequence[View], images: Sequence[str], blocks: Sequence[str], expert: bool, device: torch.device
    ) -> NodeBatch:
        """Collate the expert's side of views (what teachers see) or the student's."""
        columns = columns_of(blocks)
        vectors = [view.fixed_expert if expert else view.fixed for view in views]
        masks = [view.expert if expert else view.masks for view in views]
        counts = [len(m) for m in masks]
        rows = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
        fixed, present = {}, {}
        for name in images:
            padded = torch.zeros(len(views), max(counts), len(columns))
            for row, (have, n) in enumerate(zip(vectors, counts, strict=True)):
                if name in have:
                    padded[row, :n] = have[name][:, columns]
            fixed[name] = padded.to(device)
            present[name] = torch.tensor([float(name in have) for have in vectors], device=device)
        topology = torch.stack([m.topology for m in masks]).to(device)
        return cls(fixed, present, rows.to(device), topology, counts)


def teacher_heads(teacher: Teacher, views: Sequence[View], seeds: Sequence[int]) -> GraphOutput:
    """`Teacher.forward(..., encode=False)` of a batch. seeds: (B,), of dropout. `hidden` is not filled in."""
    device = next(teacher.parameters()).device
    batch = NodeBatch.of(views, ("ct", *PET), teacher.config.blocks, True, device)
    tracers = torch.stack([batch.present[m] for m in PET]).amax(dim=0) * batch.present["ct"]
    logits = {}
    for name in ("fused", *BRANCHES):
        head = teacher.heads[name]
        with head.drop.armed(seeds, batch.counts):
            total = head.kind[[0] + [1] * (batch.rows.shape[1] - 1)]
            for image, layer in head.fixed_in.items():
                source = "ct" if image == "dose" else image
                nodes = batch.fixed[source]
                both = torch.cat([nodes, nodes - nodes[:, :1]], dim=-1)
                part = layer(head.drop(head.fixed_scale[image](both)))
                total = total + part * batch.present[source][:, None, None]
            t = head.mix(head.topology_in(head.drop(head.topology_scale(batch.topology))))
        h = torch.cat([head.mix(total), t[:, None]], dim=1)
        keep = torch.cat([batch.rows, torch.ones_like(batch.rows[:, :1])], dim=1)
        logits[name] = head.head.batch(h, keep)
    known = {"structure_function": tracers > 0, "dose": batch.present["ct"] > 0}
    branches = {b: logits[b].masked_fill(~known[b][:, None], float("nan")) for b in BRANCHES if known[b].any()}
    return GraphOutput(logits["fused"], [], [], logits["fused"].new_zeros((len(views), 0)), branches)


def student_heads(
    student: Student,
    views: Sequence[View],
    presence: Mapping[str, Tensor],
    seeds: Sequence[int],
    drop_nodes: Sequence[Sequence[int]],
) -> GraphOutput:
    """`student_forward(..., encode=False)` of a batch; arguments as there."""
    device = next(student.parameters()).device
    batch = NodeBatch.of(views, student.config.modalities, student.config.blocks, False, device)
    present = {m: v * presence[m].to(device) for m, v in batch.present.items()}
    rows = batch.rows.clone()
    for row, dropped in enumerate(drop_nodes):
        rows[row, list(dropped)] = False
    fused = batch.topology.new_zeros((*batch.rows.shape, student.fused_size))
    with seeded_dropout(student) as drop, drop.armed(seeds, batch.counts):
        h = student.embed(fused, batch.fixed, present)
        t = student.embed_topology(batch.topology)[:, None]
    keep = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
    logits = student.head.batch(torch.cat([h, t], dim=1), keep)
    embeddings = [h[row, :n] for row, n in enumerate(batch.counts)]
    return GraphOutput(logits, [], [], logits.new_zeros((len(views), 0)), embeddings=embeddings)


class seeded_dropout:
    """Puts a SampleDropout in the place of the student's own for a while; parameters and names stay as they are."""

    def __init__(self, student: Student):
        self._student = student

    def __enter__(self) -> SampleDropout:
        self._own = self._student.drop
        self._student.drop = SampleDropout(self._own.p).train(self._student.training)
        return self._student.drop

    def __exit__(self, *_: object) -> None:
        self._student.drop = self._own


def start_heads(student: Student) -> None:
    """Let the encoder's part start at nothing, so that heads on fixed vectors are where the student departs from."""
    if student.fused_size and student.fixed_size:
        nn.init.zeros_(student.fused_in.weight)
        nn.init.zeros_(student.fused_in.bias)
