"""Views as batches of node vectors, and networks that classify from these alone (thousands of steps take minutes)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from REACTKDLib.core.student.network import Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput, region_fields
from REACTKDTrainLib.models.sample_dropout import SampleDropout
from REACTKDTrainLib.models.teacher_heads import PET, TeacherHeads


def batch_of(
    views: Sequence[View], images: Sequence[str], blocks: Sequence[str], device: torch.device, expert: bool = False
) -> NodeBatch:
    """Collate the masks of the student's side of views, or of the expert's, which the teachers use.

    images: the images that are read, absent ones as zeros; blocks: of the fixed node vectors. Returns B cases, padded
    to the largest graph.
    """
    columns = columns_of(blocks)
    vectors = [view.fixed_expert if expert else view.fixed for view in views]
    masks = [view.expert if expert else view.masks for view in views]
    counts = torch.tensor([len(m) for m in masks])
    rows = torch.arange(int(counts.max())) < counts[:, None]
    fixed, present = {}, {}
    for name in images:
        padded = torch.zeros(*rows.shape, len(columns))
        for row, (have, n) in enumerate(zip(vectors, counts.tolist(), strict=True)):
            if name in have:
                padded[row, :n] = have[name][:, columns]
        fixed[name] = padded.to(device)
        present[name] = torch.tensor([float(name in have) for have in vectors], device=device)
    topology = torch.stack([m.topology for m in masks]).to(device)
    return NodeBatch(topology, fixed, None, present, rows.to(device))


def teacher_batch(teacher: TeacherHeads, views: Sequence[View]) -> NodeBatch:
    """Return the input of a teacher's heads from views: the expert's side, with CT also as the dose branch's image."""
    batch = batch_of(views, ("ct", *PET), teacher.blocks, next(teacher.parameters()).device, expert=True)
    with_dose = [{**part, "dose": part["ct"]} for part in (batch.fixed, batch.present)]
    return replace(batch, fixed=with_dose[0], present=with_dose[1])


def teacher_heads(teacher: TeacherHeads, views: Sequence[View], seeds: Sequence[int]) -> GraphOutput:
    """Run the teachers without their encoders. seeds: (B,), for dropout."""
    return teacher.forward_nodes(teacher_batch(teacher, views), seeds)


def fit_teacher_scales(teacher: TeacherHeads, views: Sequence[View]) -> None:
    """Set the standardization constants of all heads from the lesions of training views; runs no encoder."""
    teacher.fit_scales([teacher_batch(teacher, views)])


def student_batch(student: Student, views: Sequence[View]) -> NodeBatch:
    """Return the input of a student from views, without the moments of its encoder."""
    return batch_of(views, student.config.modalities, student.config.blocks, next(student.parameters()).device)


def student_heads(
    student: Student,
    views: Sequence[View],
    presence: Mapping[str, Tensor],
    seeds: Sequence[int],
    drop_nodes: Sequence[Sequence[int]],
) -> GraphOutput:
    """Run the student with zeros in place of its encoder's moments; arguments as in `student_forward`."""
    batch = student_batch(student, views)
    seen = batch.rows.clone()
    for row, dropped in enumerate(drop_nodes):
        seen[row, list(dropped)] = False
    batch = replace(
        batch,
        learned=batch.topology.new_zeros((*seen.shape, student.fused_size)) if student.fused_size else None,
        present={m: v * presence[m].to(v.device) for m, v in batch.present.items()},
        seen=seen,
    )
    with seeded_dropout(student) as drop, drop.armed(seeds, batch.counts):
        decision = student.forward_nodes(batch)
    return GraphOutput(decision.logits, [], [], decision.summary, **region_fields(batch, decision))


@contextmanager
def seeded_dropout(student: Student) -> Iterator[SampleDropout]:
    """Replace the student's dropout by a SampleDropout inside the context; parameters and their names do not change."""
    own = student.drop
    student.drop = SampleDropout(own.p).train(student.training)
    try:
        yield student.drop
    finally:
        student.drop = own


def start_heads(student: Student) -> None:
    """Initialize the encoder's part with zeros, so that training starts from the heads on fixed vectors."""
    if student.fused_size and student.fixed_size:
        nn.init.zeros_(student.fused_in.weight)
        nn.init.zeros_(student.fused_in.bias)
