"""What a student says of a view when only some of its images are given; each image is encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from REACTKDLib.core.modality import SUBSETS, subset_name
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.student_graph import encode_views, nodes_of, view_batches


@torch.no_grad()
def predict_subsets(
    student: Student, view: View, subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> dict[str, Tensor]:
    """Name of the subset -> logits (K,) on the CPU, for the subsets that the view has all images of.

    encode: False leaves out the encoder's part. The student should be in evaluation mode.
    """
    encode = encode and student.fused_size > 0
    return _decided(student, view, encode_views(student, [view], None)[0] if encode else None, subsets)


@torch.no_grad()
def predict_views(
    student: Student, views: Iterable[View], subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> Iterator[dict[str, Tensor]]:
    """`predict_subsets` of each view, small ones encoded as batches: on a CPU several times as fast as one by one,
    since torch's quick convolutions leave a single small volume to its slow ones.
    """
    encode = encode and student.fused_size > 0
    for batch in view_batches(views):
        levels = encode_views(student, batch, None) if encode else [None] * len(batch)
        for view, own in zip(batch, levels, strict=True):
            yield _decided(student, view, own, subsets)


def _decided(
    student: Student, view: View, levels: dict[str, list[Tensor]] | None, subsets: Sequence[Sequence[str]]
) -> dict[str, Tensor]:
    """Decide with each subset. levels: of the view, from `encode_views`; None leaves out the encoder's part."""
    known = [m for m in student.config.modalities if m in view.images]
    return {
        subset_name(subset): student.forward_nodes(nodes_of(student, view, levels, subset)[0]).logits.cpu()
        for subset in subsets
        if set(subset) <= set(known)
    }
