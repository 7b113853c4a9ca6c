"""Encoder moments over regions for every subset of images, from one pass per image.

The fused map of a subset is the sum of its branches, so its mean is the sum of means and its variance the sum of
covariances: with three images, three means and six covariances per node and channel serve all seven subsets exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.modality import subset_name, subsets_of


def subset_moments(levels: Mapping[str, Sequence[Tensor]], occupancy: Tensor) -> dict[str, Tensor]:
    """levels: modality -> three maps (C_l, ...) at full, half and quarter size; occupancy: (n, ...) at full size.

    Returns subset ('ct+fdg') -> (n, F) as `core.student.pooling.fused_nodes` gives it of the subset's fused maps.
    """
    modalities = list(levels)
    subsets = subsets_of(modalities)
    parts: dict[str, list[Tensor]] = {subset_name(s): [] for s in subsets}
    weights = occupancy[None]
    for level in range(3):
        if level:
            weights = F.avg_pool3d(weights, 2, ceil_mode=True)
        w = weights[0].flatten(1)
        w = w / w.sum(dim=1, keepdim=True).clamp_min(1e-6)
        maps = {m: levels[m][level].flatten(1) for m in modalities}
        mean = {m: w @ x.T for m, x in maps.items()}
        shift = {m: x - mean[m].mean(dim=0)[:, None] for m, x in maps.items()}
        first = {m: w @ x.T for m, x in shift.items()}
        covariance = {
            (a, b): w @ (shift[a] * shift[b]).T - first[a] * first[b]
            for i, a in enumerate(modalities)
            for b in modalities[i:]
        }
        for subset in subsets:
            variance = sum(covariance[(a, b) if (a, b) in covariance else (b, a)] for a in subset for b in subset)
            spread = variance.clamp_min(0).add(1e-8).sqrt()
            parts[subset_name(subset)] += [sum(mean[m] for m in subset), torch.log(spread + 0.01)]
    return {name: torch.cat(p, dim=1) for name, p in parts.items()}
