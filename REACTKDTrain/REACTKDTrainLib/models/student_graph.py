"""The student applied to views: in training on batches of different shapes with modality dropout and gradients;
afterward with every subset of the images, each encoded once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from REACTKDLib.core.modality import SUBSETS, subset_name
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.network import FeatureMaps, Student
from REACTKDLib.core.student.node_network import NodeBatch
from REACTKDLib.core.student.pooling import fused_nodes
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.node_batches import student_batch
from REACTKDTrainLib.models.outputs import GraphOutput
from REACTKDTrainLib.models.sample_dropout import drawn_from

Presence = Mapping[str, Tensor]
#: voxels of the views that are encoded at a time: one case at 2.5 mm, eight at 5 mm
BATCH_VOXELS, MOST_VIEWS = 1_200_000, 16


def images_read(student: Student, images: Collection[str]) -> tuple[str, ...]:
    """Return those of a case's images that the student reads, in the student's order."""
    return tuple(m for m in student.config.modalities if m in images)


def used_modalities(student: Student, view: View, presence: Presence | None, row: int) -> tuple[str, ...]:
    """Return the modalities that the student reads, the view has, and `presence` (if it names them) keeps in this row.

    Raises: ValueError if none is left.
    """
    used = tuple(
        m
        for m in student.config.modalities
        if m in view.images and (presence is None or m not in presence or bool(presence[m][row] > 0))
    )
    if not used:
        raise ValueError(f"case {view.case} is left without any image")
    return used


def encode_views(student: Student, views: Sequence[View], presence: Presence | None) -> list[dict[str, list[Tensor]]]:
    """Projected maps of each view: modality -> three (C_l, ...) at full, half and quarter size.

    presence: modality -> (B,) 0 or 1, None for all images; a dropped modality is not computed at all.

    Views of the same shape are encoded as one batch.
    """
    groups: dict[tuple, list[int]] = defaultdict(list)
    for row, view in enumerate(views):
        for name in used_modalities(student, view, presence, row):
            groups[name, view.shape].append(row)
    device = next(student.parameters()).device
    out: list[dict[str, list[Tensor]]] = [{} for _ in views]
    for (name, _), rows in groups.items():
        images = torch.stack([views[r].images[name] for r in rows])[:, None].to(device)
        bands = gaussian_bands(images).contiguous(memory_format=torch.channels_last_3d)
        levels = student.encoders(name, bands)
        for n, row in enumerate(rows):
            out[row][name] = [level[n] for level in levels]
    return out


def view_batches(views: Iterable[View]) -> Iterator[list[View]]:
    """Yield groups of views that fit in memory when encoded without gradients; views are opened only when needed."""
    batch: list[View] = []
    for view in views:
        batch.append(view)
        if len(batch) == MOST_VIEWS or (len(batch) + 1) * math.prod(view.shape) > BATCH_VOXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def nodes_of(
    student: Student, view: View, levels: Mapping[str, list[Tensor]] | None, modalities: Sequence[str]
) -> tuple[NodeBatch, Tensor | None]:
    """Return one case for `Student.forward_nodes`, and the coarsest fused map (C, d, h, w).

    levels: of the view, from `encode_views`; None replaces the encoder's moments by zeros and gives no map.
    """
    columns, device = columns_of(student.config.blocks), next(student.parameters()).device
    occupancy = view.masks.occupancy.to(device)
    learned, coarsest = None, None
    if student.fused_size and levels is None:
        learned = occupancy.new_zeros((len(occupancy), student.fused_size))
    elif student.fused_size:
        fused = student.fuse(FeatureMaps({}, {}, dict(levels)).only(tuple(modalities)))
        learned, coarsest = fused_nodes(fused, occupancy, student.config.spread), fused[-1]
    fixed = {m: view.fixed[m][:, columns].to(device) for m in modalities}
    return NodeBatch(view.masks.topology.to(device), fixed, learned), coarsest


def student_forward(
    student: Student,
    views: Sequence[View],
    presence: Presence | None = None,
    sample_seeds: Sequence[int] | None = None,
    drop_nodes: Sequence[Sequence[int]] | None = None,
) -> GraphOutput:
    """Classify a batch of views with their `masks`.

    presence: modality -> (B,) 0 or 1, the modalities that each case may use; None: all. sample_seeds: (B,), seeds of
    dropout, one per case, so that neither the batch nor the number of processes changes it. drop_nodes: for each case
    the lesions that are hidden from the head. Logits equal those of `Student.decide`.

    Raises: ValueError for a case without any image left.
    """
    levels = encode_views(student, views, presence) if student.fused_size else [{} for _ in views]
    decisions, nodes, maps = [], [], []
    for row, view in enumerate(views):
        batch, coarsest = nodes_of(student, view, levels[row], used_modalities(student, view, presence, row))
        if coarsest is not None:
            nodes.append(_means_of_coarsest(student, batch.learned))
            maps.append(coarsest)
        if drop_nodes and len(drop_nodes[row]):
            hidden = torch.tensor([n in drop_nodes[row] for n in range(batch.nodes)])
            batch = replace(batch, seen=~hidden.to(batch.topology.device))
        with drawn_from(sample_seeds[row] if sample_seeds is not None and student.training else None):
            decisions.append(student.forward_nodes(batch))
    logits, hidden = (torch.stack([getattr(d, name) for d in decisions]) for name in ("logits", "summary"))
    regions, scores, attention = (
        [getattr(d, name) for d in decisions] for name in ("regions", "region_scores", "region_attention")
    )
    return GraphOutput(logits, nodes, maps, hidden, embeddings=regions, scores=scores, attention=attention)


def _means_of_coarsest(student: Student, fused: Tensor) -> Tensor:
    """Return the columns of `fused_nodes` that are means of the coarsest map: (n, C)."""
    width = student.config.widths[-1]
    end = fused.shape[1] - (width if student.config.spread else 0)
    return fused[:, end - width : end]


@torch.no_grad()
def fit_student_scales(student: Student, views: Sequence[View]) -> None:
    """Set the standardization constants of topology and fixed node vectors from the lesions of training views."""
    student.fit_scales([student_batch(student, views)])


@torch.no_grad()
def fit_fused_scale(student: Student, views: Iterable[View]) -> None:
    """Set the standardization constants of the current encoder's moments. Encodes every view once."""
    rows = []
    for batch in view_batches(views) if student.fused_size else ():
        for view, levels in zip(batch, encode_views(student, batch, None), strict=True):
            learned = nodes_of(student, view, levels, tuple(levels))[0].learned
            rows.append(NodeBatch(learned.new_zeros(1, 7), {}, learned[None]))
    if rows:
        student.fit_learned_scale(rows)


@torch.no_grad()
def decide_views(
    student: Student, views: Iterable[View], subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> Iterator[dict[str, Decision]]:
    """Return for each view: name of the subset -> the head's decision, for the subsets of which the view has all
    images.

    encode: False omits the encoder's part. The student should be in evaluation mode. Small views are encoded in
    batches, which on a CPU is several times as fast as one by one, since torch uses its slow convolutions for a single
    small volume.
    """
    encode = encode and student.fused_size > 0
    for batch in view_batches(views):
        encoded = encode_views(student, batch, None) if encode else [None] * len(batch)
        for view, levels in zip(batch, encoded, strict=True):
            known = set(images_read(student, view.images))
            yield {
                subset_name(subset): student.forward_nodes(nodes_of(student, view, levels, subset)[0])
                for subset in subsets
                if set(subset) <= known
            }


def predict_views(
    student: Student, views: Iterable[View], subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> Iterator[dict[str, Tensor]]:
    """As `decide_views`, but returns only the logits (K,), on the CPU."""
    for found in decide_views(student, views, subsets, encode):
        yield {name: decision.logits.cpu() for name, decision in found.items()}
