"""Regression of a phantom's latents from the student's lesions: a term that real cohorts do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.phantom.latents import DENSITIES
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.models.outputs import GraphOutput

SIZE = 1 + len(DENSITIES)


class LatentRegression(nn.Module):
    """Linear readout of the latents from each lesion's embedding; squared error over those that the images can show.

    hidden: width of the embeddings. train: cases whose latents give the units. Raises: UsageError for other cases.
    """

    def __init__(self, hidden: int, train: Sequence[CohortCase]):
        super().__init__()
        if any("latents" not in (case.truth or {}) for case in train):
            raise UsageError(
                "Only digital phantoms of the independent biology have latents of the whole patient to regress; set "
                "loss.auxiliary to 0."
            )
        latents = torch.tensor([case.truth["latents"] for case in train], dtype=torch.float32)
        self.register_buffer("mean", latents.mean(dim=0))
        self.register_buffer("scale", latents.std(dim=0).clamp_min(1e-6))
        self.readout = nn.Linear(hidden, SIZE)

    def forward(self, output: GraphOutput, views: Sequence[View], presence: Mapping[str, Tensor]) -> Tensor:
        """The mean over the cases of each case's mean over its lesions and the latents shown: a scalar.

        output: of the student, whose `embeddings` are read. presence: modality -> (B,), the images of each case.
        """
        rows = []
        for row, (h, view) in enumerate(zip(output.embeddings, views, strict=True)):
            shown = visible({m: float(v[row]) for m, v in presence.items()}).to(h.device)
            if len(h) < 2 or not shown.any():
                rows.append(h.new_zeros(()))
                continue
            target = (view.truth.to(h.device) - self.mean) / self.scale
            rows.append((self.readout(h[1:]) - target)[:, shown].square().mean())
        return torch.stack(rows).mean()


def visible(present: Mapping[str, float]) -> Tensor:
    """(10,) bool: the latents that these images show. The lesion count, the first, is the topology node's."""
    shown = [any(present.get(m.value, 0) for m in by) for _, _, by in DENSITIES.values()]
    return torch.tensor([False, *shown])
