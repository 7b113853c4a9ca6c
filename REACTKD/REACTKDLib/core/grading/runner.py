"""Runs a student on one device, from arrays to arrays, independent of cases, classes and reports."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.masks.placement import Placement
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.one_thread import one_thread
from REACTKDLib.core.student.encoder import crop_levels
from REACTKDLib.core.student.explain import Votes
from REACTKDLib.core.student.network import FeatureMaps, NodeVectors, Student
from REACTKDLib.core.student.pooling import NodeMasks


@dataclass(frozen=True, eq=False)
class Decided:
    """The output of `StudentRunner.decide`.

    votes: see `Votes`; the last node is topology. embeddings: (n, hidden) of the regions, for similarities.
    """

    votes: Votes
    embeddings: np.ndarray


class LesionShells:
    """Shells (6, d, h, w) of each lesion by its index, expanded to the whole box only while they are used.

    Dense shells of a dozen lesions would need more memory than the encoder.
    """

    def __init__(self, placement: Placement, device: torch.device):
        self._shape = placement.occupancy.shape[1:]
        self._device = device
        self._parts = [(box, torch.from_numpy(part)) for box, part in placement.shells]

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, n: int) -> Tensor:
        box, part = self._parts[n]
        whole = torch.zeros((len(part), *self._shape), device=self._device)
        whole[(slice(None), *box)] = part.to(self._device)
        return whole


class StudentRunner:
    """Runs `student` on `device` ('cpu', 'cuda'). For another device, the given student is copied, not moved.

    Results are deterministic: cuDNN's deterministic algorithms, full float32, no benchmarking.
    """

    def __init__(self, student: Student, device: str = "cpu"):
        self.device = torch.device(device)
        self.student = student if self.device.type == "cpu" else copy.deepcopy(student).to(self.device)
        self.student.eval().requires_grad_(False)

    @property
    def of_masks(self) -> tuple[bool, bool]:
        """Whether the student's nodes use radial profiles, and whether they use the shape of their masks."""
        blocks = self.student.config.blocks
        return "shells" in blocks, "shape" in blocks

    def encode(
        self, name: str, image: np.ndarray, check: Callable[[], None] = lambda: None, box: Box | None = None
    ) -> FeatureMaps:
        """Encode one modality. image: (D, H, W) float32. `check` runs before every layer and may raise to stop.

        box: see `Student.encode`.
        """
        with self._exact(), torch.no_grad(), _checked(self.student, check):
            return self.student.encode({name: torch.from_numpy(image)[None, None].to(self.device)}, box)

    def fuse(self, features: FeatureMaps) -> list[Tensor]:
        """Fused maps at three levels (C_l, ...); an empty list for a student without an encoder."""
        with self._exact(), torch.no_grad():
            return self.student.fuse(features) if self.student.fused_size else []

    def masks(self, placement: Placement) -> NodeMasks:
        """Transfer a placement to the device."""
        shells = LesionShells(placement, self.device)  # each is read once, by `NodeMasks.lesion`
        shape = None if placement.shape is None else torch.from_numpy(placement.shape).to(self.device)
        return NodeMasks(torch.from_numpy(placement.occupancy).to(self.device), shells, placement.keys, shape)

    def decide(
        self, features: FeatureMaps, fused: list[Tensor], placement: Placement, memos: Mapping[str, Memo] | None = None
    ) -> Decided:
        """Pool over the placement and classify. features, fused: on the whole grid, for the modalities to be used.

        memos: see `Student.pool`. One thread is used: the boxes of lesions are so small that several threads take half
        as long again, because they wait for each other.
        """
        with self._exact(), one_thread(), torch.no_grad():
            nodes = self.pool(features, fused, placement, memos)
            decision = self.student.decide(nodes, torch.from_numpy(placement.topology).to(self.device))
        return Decided(decision.votes(), decision.regions.cpu().numpy())

    def pool(
        self, features: FeatureMaps, fused: list[Tensor], placement: Placement, memos: Mapping[str, Memo] | None = None
    ) -> NodeVectors:
        """Node vectors of the placement's regions. memos: see `Student.pool`."""
        box = placement.box
        return self.student.pool(crop(features, box), self.masks(placement), crop_fused(fused, features, box), memos)

    @contextmanager
    def _exact(self) -> Iterator[None]:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield


def merge(parts: Mapping[str, FeatureMaps]) -> FeatureMaps:
    """Merge features that were encoded one modality at a time, all on the same box."""
    images, bands, levels, box = {}, {}, {}, None
    for part in parts.values():
        box = part.box
        images |= part.images
        bands |= part.bands
        levels |= part.levels
    return FeatureMaps(images, bands, levels, box)


def crop(features: FeatureMaps, box: Box) -> FeatureMaps:
    """Return views of images and bands inside a box of the grid; levels are omitted, since the fused ones replace
    them.
    """
    return FeatureMaps(
        {name: image[box] for name, image in features.images.items()},
        {name: bands[(slice(None), *box)] for name, bands in features.bands.items()},
        {},
    )


def crop_fused(fused: list[Tensor], features: FeatureMaps, box: Box) -> list[Tensor]:
    """Return views of the fused maps of `features` inside an aligned box of the grid."""
    if features.box is not None:
        box = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, features.box, strict=True))
    return crop_levels(fused, box)


@contextmanager
def _checked(student: Student, check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before every layer."""
    leaves = [module for module in student.modules() if not any(module.children())]
    handles = [module.register_forward_pre_hook(lambda *_: check()) for module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
