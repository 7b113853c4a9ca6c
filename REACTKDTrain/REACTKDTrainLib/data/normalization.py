"""The CT window of a training fold, centered on the liver."""

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
    # not in the repr, from which keys are made: the key of a prepared case already includes the clip
    clip_hu: tuple[float, float] = field(default=CT_CLIP_HU, repr=False)

    def __call__(self, hu: torch.Tensor) -> torch.Tensor:
        """Apply the window to HU values of any shape; returns float32."""
        return (hu.clamp(*self.clip_hu) - self.center_hu) / self.scale_hu

    @classmethod
    def of_preparation(cls, preparation: Preparation) -> LiverWindow:
        """Return the window that a preparation specifies."""
        return cls(preparation.ct_center_hu, preparation.ct_scale_hu, preparation.ct_clip_hu)

    @classmethod
    def of(cls, cases: Iterable[PreparedCase], preparation: Preparation = USUAL) -> LiverWindow:
        """Center the window on the parenchyma of these cases: the mean over cases of their median HU, to 0.1 HU.

        Pass training cases only. Cases without CT are ignored; if there are no others, the center of the preparation is
        used. Scale and clip are always those of the preparation.
        """
        with_ct = (case for case in cases if "ct" in case.images)
        medians = [float(hu.median()) for case in with_ct if len(hu := case.images["ct"][case.parenchyma])]
        stated = cls.of_preparation(preparation)
        return replace(stated, center_hu=round(sum(medians) / len(medians), 1)) if medians else stated
