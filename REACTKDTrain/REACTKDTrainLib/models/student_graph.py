"""The student in training: a batch of views of different shapes, some modalities dropped, with gradients."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import FeatureMaps, Student
from REACTKDLib.core.student.pooling import fused_nodes
from REACTKDTrainLib.data.fixed_nodes import columns_of
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput

Presence = Mapping[str, Tensor]
#: of views encoded at a time: one case at 2.5 mm, eight at 5 mm
BATCH_VOXELS, MOST_VIEWS = 1_200_000, 16


def used_modalities(student: Student, view: View, presence: Presence | None, row: int) -> tuple[str, ...]:
    """The modalities that the student knows, the view has, and `presence` keeps. Raises: ValueError when none is."""
    used = tuple(
        m
        for m in student.config.modalities
        if m in view.images and (presence is None or bool(presence.get(m, torch.ones(row + 1))[row] > 0))
    )
    if not used:
        raise ValueError(f"case {view.case} is left without any image")
    return used


def encode_views(student: Student, views: Sequence[View], presence: Presence | None) -> list[dict[str, list[Tensor]]]:
    """Projected maps of each view: modality -> three (C_l, ...). A branch that is dropped is not computed at all.

    Views of one shape are encoded as one batch.
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
    """Groups that fit in memory when they are encoded without gradients; views are opened as they are needed."""
    batch: list[View] = []
    for view in views:
        batch.append(view)
        if len(batch) == MOST_VIEWS or (len(batch) + 1) * math.prod(view.shape) > BATCH_VOXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def student_forward(
    student: Student,
    views: Sequence[View],
    presence: Presence | None = None,
    sample_seeds: Sequence[int] | None = None,
    drop_nodes: Sequence[Sequence[int]] | None = None,
    encode: bool = True,
) -> GraphOutput:
    """Grade a batch of views with their `masks`.

    presence: modality -> (B,) 0 or 1, which modalities each case may use; None: all that it has. sample_seeds: (B,),
    dropout is drawn from them, one case at a time, so that neither the batch nor the number of processes changes it.
    drop_nodes: of each case the lesions that the head does not see. encode: False grades by fixed node vectors alone,
    as if the encoder's were 0 (no maps, no nodes). Logits equal those of `Student.decide`.

    Raises: ValueError for a case that is left without any image.
    """
    encode = encode and student.fused_size > 0
    levels = encode_views(student, views, presence) if encode else [{} for _ in views]
    device = next(student.parameters()).device
    columns = columns_of(student.config.blocks)
    logits, nodes, maps, hidden, embeddings = [], [], [], [], []
    for row, view in enumerate(views):
        occupancy = view.masks.occupancy.to(device)
        fixed = {m: view.fixed[m][:, columns].to(device) for m in used_modalities(student, view, presence, row)}
        fused = occupancy.new_zeros((len(occupancy), student.fused_size))
        if encode:
            fused_maps = student.fuse(FeatureMaps({}, {}, levels[row]))
            fused = fused_nodes(fused_maps, occupancy, student.config.spread)
            nodes.append(_means_of_coarsest(student, fused))
            maps.append(fused_maps[-1])
        with _seeded(student, sample_seeds, row):
            h = student.embed(fused, fixed)
            topology = student.embed_topology(view.masks.topology.to(device))[None]
        keep = [n for n in range(len(h)) if not drop_nodes or n not in drop_nodes[row]]
        decision = student.head(torch.cat([h[keep], topology]))
        logits.append(decision.logits)
        hidden.append((decision.weights[:-1, None] * h[keep]).sum(dim=0))
        embeddings.append(h)
    return GraphOutput(torch.stack(logits), nodes, maps, torch.stack(hidden), embeddings=embeddings)


def _means_of_coarsest(student: Student, fused: Tensor) -> Tensor:
    """The columns of `fused_nodes` that are means of the coarsest map: (n, C)."""
    width = student.config.widths[-1]
    end = fused.shape[1] - (width if student.config.spread else 0)
    return fused[:, end - width : end]


class _seeded:
    """Dropout of one case from its own seed; the process's generator is left as it was."""

    def __init__(self, student: Student, seeds: Sequence[int] | None, row: int):
        self._seed = None if seeds is None or not student.training else int(seeds[row])

    def __enter__(self) -> None:
        if self._seed is not None:
            self._kept = torch.get_rng_state()
            torch.manual_seed(self._seed)

    def __exit__(self, *_) -> None:
        if self._seed is not None:
            torch.set_rng_state(self._kept)


@torch.no_grad()
def fit_student_scales(student: Student, views: Sequence[View]) -> None:
    """Set the standardization constants of topology and fixed node vectors from the lesions of training views."""
    columns = columns_of(student.config.blocks)
    if student.fixed_size:
        for name in student.config.modalities:
            rows = [student._relative(v.fixed[name][:, columns])[1:] for v in views if name in v.fixed]
            _fit(student.fixed_scale[name], rows)
    _fit(student.topology_scale, [v.masks.topology[None] for v in views])


@torch.no_grad()
def fit_fused_scale(student: Student, views: Iterable[View]) -> None:
    """Set those of the encoder's moments, as it is now. Encodes every view once."""
    rows = []
    for batch in view_batches(views) if student.fused_size else ():
        for view, levels in zip(batch, encode_views(student, batch, None), strict=True):
            fused_maps = student.fuse(FeatureMaps({}, {}, levels))
            fused = fused_nodes(fused_maps, view.masks.occupancy.to(fused_maps[0].device), student.config.spread)
            rows.append(student._relative(fused)[1:])
    if rows:
        _fit(student.fused_scale, rows)


def _fit(scale, rows: list[Tensor]) -> None:
    """Fit where there are enough rows to speak of a spread."""
    joined = torch.cat(rows) if rows else torch.zeros(0, 1)
    if len(joined) > 1:
        scale.fit(joined.to(scale.mean.device))
