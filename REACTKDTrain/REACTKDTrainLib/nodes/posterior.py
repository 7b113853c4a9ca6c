"""The exact posterior of a phantom's grade given its images, as a training target in place of the grade itself.

Grades are drawn at random: two phantoms with the same latent variables may have different grades. The exact posterior
of the grade, given the latent variables that the images show, is the mean over all phantoms that look the same. The
student that fits the posterior best is also the one that fits the grades best, but training on it removes the noise of
the draws (docs/explanation/method.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from REACTKDLib.core.modality import subset_name, subsets_of
from REACTKDTrainLib.data.limits import limit_of
from REACTKDTrainLib.nodes.table import NodeTable


@dataclass(frozen=True, eq=False)
class PosteriorTargets:
    """Posteriors of N phantoms, given each set of images and the expert's masks, whose outlines show the margin.

    of_subset: (2^M, N, K) float32; the index of a set has one bit for each of the M modalities, in order; the empty set
    is NaN.

    Example:
        >>> targets = PosteriorTargets.of(table, ("ct", "fdg", "acetate"))
        >>> targets.given(torch.tensor([3]), {"ct": torch.ones(1), "fdg": torch.zeros(1), "acetate": torch.zeros(1)})
    """

    modalities: tuple[str, ...]
    of_subset: Tensor

    @classmethod
    def of(cls, table: NodeTable, modalities: Sequence[str]) -> PosteriorTargets:
        """Integrate each phantom's posterior once for every set of images. Raises: ValueError for patients."""
        if table.latents is None:
            raise ValueError("only digital phantoms have an exact posterior; leave it out for patients")
        order = tuple(modalities)
        found = {}
        for subset in subsets_of(order):
            number = sum(1 << order.index(m) for m in subset)
            found[number] = torch.from_numpy(limit_of(table.latents, subset_name(subset))).float()
        empty = torch.full_like(next(iter(found.values())), float("nan"))
        return cls(order, torch.stack([found.get(number, empty) for number in range(1 << len(order))]))

    def given(self, index: Tensor, presence: Mapping[str, Tensor]) -> Tensor:
        """(B, K) for cases `index` (B,). presence: modality -> (B,), 1 if the case has it, else 0."""
        number = sum((presence[m] > 0).long() << bit for bit, m in enumerate(self.modalities))
        return self.of_subset[number, index]

    def all_given(self, index: Tensor, images: Sequence[str]) -> Tensor:
        """(B, K), all cases with the same images."""
        return self.of_subset[sum(1 << self.modalities.index(m) for m in images), index]
