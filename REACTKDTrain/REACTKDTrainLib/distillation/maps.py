"""Feature maps of student and teacher on a common grid, with masks and scaling shared by the compared methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput

_EPS = 1e-6


def map_pairs(
    student: GraphOutput, teacher: GraphOutput, views: Sequence[View]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Return for each case the student's map (C, ...), teacher's map (E, ...) and expert's occupancy (n, ...) on one
    grid.

    The grid is the teacher's; a student's map on another grid is interpolated to it (trilinear). The expert's regions
    are used for both, because both must be compared in the same voxels. Raises: ValueError if maps were not kept.
    """
    if len(student.maps) != len(views) or len(teacher.maps) != len(views):
        raise ValueError("this method compares maps, and the student or the teacher gave none")
    for ours, theirs, view in zip(student.maps, teacher.maps, views, strict=True):
        theirs = theirs.detach().to(ours)
        if ours.shape[1:] != theirs.shape[1:]:
            ours = F.interpolate(ours[None], size=theirs.shape[1:], mode="trilinear", align_corners=False)[0]
        yield ours, theirs, occupancy_on(view.expert.occupancy.to(ours), theirs.shape[1:])


def occupancy_on(occupancy: Tensor, size: Sequence[int]) -> Tensor:
    """(n, d, h, w) averaged to a quarter of its grid, or to `size` if that differs."""
    small = F.avg_pool3d(occupancy[None], 4, ceil_mode=True)[0]
    return small if small.shape[1:] == torch.Size(size) else F.adaptive_avg_pool3d(occupancy, tuple(size))


def standardized(level: Tensor) -> Tensor:
    """(C, ...) with zero mean and unit variance of each channel over all positions; a constant channel becomes 0."""
    flat = level.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    return (flat / flat.square().mean(dim=1, keepdim=True).add(_EPS).sqrt()).reshape(level.shape)


def region_means(level: Tensor, occupancy: Tensor) -> Tensor:
    """(n, C): means of a map (C, ...) over regions (n, ...) (equation 3 of arXiv 2508.02104)."""
    weights = occupancy.flatten(1)
    return (weights @ level.flatten(1).T) / (weights.sum(dim=1, keepdim=True) + _EPS)


def pooled_graph(nodes: Tensor) -> Tensor:
    """(2 C,) from node vectors (n, C): the parenchyma's, then the mean over the lesions (without any: the
    parenchyma's).

    One vector for a case with any number of lesions; it replaces the global pooling of methods for images.
    """
    return torch.cat([nodes[0], nodes[1:].mean(dim=0) if len(nodes) > 1 else nodes[0]])
