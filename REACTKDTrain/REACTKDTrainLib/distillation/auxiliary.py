"""Auxiliary regression of a phantom's latent variables from the student's lesion embeddings; for phantoms only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.phantom.biology_shared import SharedLatents
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.data.truth import COLUMNS, Truth, truth_of, units_of
from REACTKDTrainLib.data.view import View
from REACTKDTrainLib.distillation.losses import masked_mse
from REACTKDTrainLib.models.outputs import GraphOutput


class LatentReadout(nn.Module):
    """Linear readout of a lesion's latent variables from its embedding, in units of the training cases.

    hidden: width of the embeddings. latents: of the training cases, all of one biology, see `units_of`.
    """

    def __init__(self, hidden: int, latents: Sequence[tuple[float, ...] | SharedLatents]):
        super().__init__()
        self.biology = "shared" if isinstance(latents[0], SharedLatents) else "independent"
        mean, scale = units_of(latents)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.readout = nn.Linear(hidden, len(mean))

    def loss(self, embeddings: Tensor, wanted: Tensor, shown: Tensor) -> Tensor:
        """Return the mean squared error, a scalar, over the latents that are known and visible; 0 if there are none.

        embeddings: (L, H) of lesions; wanted: (L, K), the columns of `COLUMNS`, NaN where unknown; shown: (L, K) bool,
        see `visible`.
        """
        wanted = (wanted.to(embeddings.device) - self.mean) / self.scale
        return masked_mse(self.readout(embeddings), wanted, shown.to(embeddings.device).float())


class LatentRegression(LatentReadout):
    """The loss term `loss.auxiliary`, computed on views.

    hidden: width of the embeddings. train: cases whose latents define the units. Raises: UsageError for patients, and
    for phantoms of two biologies.
    """

    def __init__(self, hidden: int, train: Sequence[CohortCase]):
        super().__init__(hidden, [truth.latents for truth in truths_of(train)])

    def forward(self, output: GraphOutput, views: Sequence[View], presence: Mapping[str, Tensor]) -> Tensor:
        """Return a scalar: the mean over lesions and over known, visible latents of each case, averaged over the cases.

        output: of the student; only its `embeddings` are used. presence: modality -> (B,), the images of each case.
        """
        shown = visible(presence, self.biology)
        rows = []
        for row, (h, view) in enumerate(zip(output.embeddings, views, strict=True)):
            if view.truth is None:
                raise UsageError(
                    "A case has no latents to regress; train on phantoms alone, or set loss.auxiliary to 0."
                )
            matches = view.masks.matches
            wanted = view.truth.of_nodes(len(view.expert.volumes_ml))[matches.cpu()][1:]
            rows.append(self.loss(h[1:], wanted, shown[row].expand_as(wanted)))
        return torch.stack(rows).mean()


def truths_of(cases: Sequence[CohortCase]) -> list[Truth]:
    """Return the ground truth of phantoms of one biology. Raises: UsageError for patients, or for two biologies."""
    truths = [truth_of(case.truth) for case in cases]
    if any(truth is None for truth in truths):
        raise UsageError("Only digital phantoms have latents to regress; set loss.auxiliary to 0.")
    if len({truth.biology for truth in truths}) > 1:
        raise UsageError(
            "Phantoms of two biologies have different latents; train on one of them, or set loss.auxiliary to 0."
        )
    return truths


def visible(presence: Mapping[str, Tensor], biology: str) -> Tensor:
    """(B, K) bool: which columns of a biology are visible in the images. presence: modality -> (B,), 0 or 1.

    The lesion count of the independent biology belongs to the topology node and is visible in no image of a lesion; t
    of the shared biology is visible in every image.
    """
    columns = []
    rows = len(next(iter(presence.values())))
    for seen in COLUMNS[biology].values():
        given = [value.cpu() > 0 for name, value in presence.items() if name in seen]
        columns.append(torch.stack(given).any(dim=0) if given else torch.zeros(rows, dtype=torch.bool))
    return torch.stack(columns, dim=1)
