"""The CT window of a training fold: the organ at 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from REACTKDLib.core.student.normalize import CT_CLIP_HU
from REACTKDLib.core.student.prepare import Preparation
from REACTKDTrainLib.data.case import PreparedCase

USUAL = Preparation()


@dataclass(frozen=True)
class LiverWindow:
    """(HU - center_hu) / scale_hu after clipping to `clip_hu`."""

    center_hu: float = USUAL.ct_center_hu
    scale_hu: float = USUAL.ct_scale_hu
    # the key of what is prepared with it holds the clip already, and keys are made of this text
    clip_hu: tuple[float, float] = field(default=CT_CLIP_HU, repr=False)

    def __call__(self, hu: torch.Tensor) -> torch.Tensor:
        """Any shape, float32."""
        return (hu.clamp(*self.clip_hu) - self.center_hu) / self.scale_hu

    @classmethod
    def of_preparation(cls, preparation: Preparation) -> LiverWindow:
        """The window that a preparation states."""
        return cls(preparation.ct_center_hu, preparation.ct_scale_hu, preparation.ct_clip_hu)

    @classmethod
    def of(cls, cases: Iterable[PreparedCase], preparation: Preparation = USUAL) -> LiverWindow:
        """Center it on the parenchyma of these cases: the mean over cases of their median HU, to 0.1 HU.

        Give it training cases only. Cases without CT do not count; without any the center of the preparation stays,
        and its scale and clip always do.
        """
        medians = []
        for case in cases:
            if "ct" in case.images:
                inside = case.masks[0].occupancy[0] > 0.99
                if inside.any():
                    medians.append(float(case.images["ct"][inside].median()))
        stated = cls.of_preparation(preparation)
        return replace(stated, center_hu=round(sum(medians) / len(medians), 1)) if medians else stated
