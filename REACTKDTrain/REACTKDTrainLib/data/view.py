"""The view: the form of a case that a training step uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.truth import Truth


@dataclass(frozen=True, eq=False)
class View:
    """One case, unchanged (number 0) or augmented (1 and up).

    images: modality -> (d, h, w) float32, the input of the network. hu: (d, h, w) CT in HU, before the window, or None
    without CT. expert: the regions that the teacher pools over; masks: those of the student, possibly perturbed. fixed,
    fixed_expert: modality -> (n, Q), the fixed node vectors, over `masks` and over `expert`. truth: of a phantom, by
    the expert's nodes. key: a hash of the content of the expert's side, which teachers use. warp_seed: seed of the
    warp; None if nothing was moved. levels: modality -> the constant (a scalar, in normalized units) that was added to
    its image; empty if none was.
    """

    case: str
    patient: str
    grade: int | None
    number: int
    images: Mapping[str, Tensor]
    hu: Tensor | None
    expert: RegionMasks
    masks: RegionMasks
    fixed: Mapping[str, Tensor]
    fixed_expert: Mapping[str, Tensor]
    truth: Truth | None
    key: str
    warp_seed: int | None = None
    levels: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(d, h, w)."""
        return tuple(next(iter(self.images.values())).shape)

    def without_voxels(self) -> View:
        """Return the view without images and masks, for heads on fixed node vectors; thousands fit in memory."""
        empty = {name: torch.zeros(0, 0, 0) for name in self.images}
        bare = (masks.without_voxels() for masks in (self.expert, self.masks))
        return replace(self, images=empty, hu=None, expert=next(bare), masks=next(bare))


def grades_of(views: Sequence[View], device: torch.device) -> Tensor:
    """Return (B,) int64, the grades of graded views."""
    return torch.tensor([view.grade for view in views], device=device)
