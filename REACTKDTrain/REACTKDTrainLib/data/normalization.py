"""The CT window of a training fold: the liver at 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from REACTKDLib.core.student.normalize import CT_CLIP_HU
from REACTKDTrainLib.data.case import PreparedCase

SCALE_HU = 25.0
USUAL_CENTER_HU = 107.0


@dataclass(frozen=True)
class LiverWindow:
    """(HU - center_hu) / scale_hu after clipping to [-160, 240] HU."""

    center_hu: float = USUAL_CENTER_HU
    scale_hu: float = SCALE_HU

    def __call__(self, hu: torch.Tensor) -> torch.Tensor:
        """Any shape, float32."""
        return (hu.clamp(*CT_CLIP_HU) - self.center_hu) / self.scale_hu

    @classmethod
    def of(cls, cases: Iterable[PreparedCase]) -> LiverWindow:
        """Center it on the parenchyma of these cases: the mean over cases of their median HU, to 0.1 HU.

        Give it training cases only. Cases without CT do not count; without any the usual center stays.
        """
        medians = []
        for case in cases:
            if "ct" in case.images:
                inside = case.masks[0].occupancy[0] > 0.99
                if inside.any():
                    medians.append(float(case.images["ct"][inside].median()))
        return cls(round(sum(medians) / len(medians), 1)) if medians else cls()
