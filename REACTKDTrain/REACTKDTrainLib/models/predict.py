"""What a student says of a view when only some of its images are given; each image is encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from REACTKDLib.core.modality import SUBSETS, subset_name
from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.student_graph import encode_views, nodes_of, view_batches


@torch.no_grad()
def decide_views(
    student: Student, views: Iterable[View], subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> Iterator[dict[str, Decision]]:
    """Of each view, name of the subset -> the head's decision, for the subsets that the view has all images of.

    encode: False leaves out the encoder's part. The student should be in evaluation mode. Small views are encoded as
    batches: on a CPU several times as fast as one by one, since torch's quick convolutions leave a single small volume
    to its slow ones.
    """
    encode = encode and student.fused_size > 0
    for batch in view_batches(views):
        encoded = encode_views(student, batch, None) if encode else [None] * len(batch)
        for view, levels in zip(batch, encoded, strict=True):
            known = {m for m in student.config.modalities if m in view.images}
            yield {
                subset_name(subset): student.forward_nodes(nodes_of(student, view, levels, subset)[0])
                for subset in subsets
                if set(subset) <= known
            }


def predict_views(
    student: Student, views: Iterable[View], subsets: Sequence[Sequence[str]] = SUBSETS, encode: bool = True
) -> Iterator[dict[str, Tensor]]:
    """As `decide_views`, the logits (K,) alone, on the CPU."""
    for found in decide_views(student, views, subsets, encode):
        yield {name: decision.logits.cpu() for name, decision in found.items()}
