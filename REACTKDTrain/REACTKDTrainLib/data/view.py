"""The view: what a training step sees of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.truth import Truth


@dataclass(frozen=True, eq=False)
class View:
    """One case, as it is (number 0) or augmented (1 and up).

    images: modality -> (d, h, w) float32, as the network reads them. hu: (d, h, w) CT in HU, before the window, or None
    without CT. expert: the regions that the teacher pools over; masks: those of the student, perhaps drawn with another
    annotator's errors. fixed, fixed_expert: modality -> (n, Q), the node vectors that need no learning, over `masks`
    and over `expert`. truth: of a phantom, by the expert's nodes. key: a hash of the content of the expert's side,
    which is what teachers see. warp_seed: what the warp was drawn from; None where nothing moved. levels: modality ->
    the constant (a scalar, normalized units) that was added to its image; empty where none was.
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
        """The same without images and masks: what heads on fixed node vectors need; thousands fit in memory."""
        empty = {name: torch.zeros(0, 0, 0) for name in self.images}
        bare = (masks.without_voxels() for masks in (self.expert, self.masks))
        return replace(self, images=empty, hu=None, expert=next(bare), masks=next(bare))


def grades_of(views: Sequence[View], device: torch.device) -> Tensor:
    """(B,) int64, the grades of graded views."""
    return torch.tensor([view.grade for view in views], device=device)
