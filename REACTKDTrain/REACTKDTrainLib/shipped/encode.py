"""Encoder moments of whole volumes, for every subset of modalities, from one pass per modality.

The fused map of a subset is the sum of its branches, so its mean is the sum of means and its variance the sum of
covariances: three means and six covariances per node and channel serve all seven subsets exactly.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.shipped.extract import MAX_NODES, load_prepared
from REACTKDTrainLib.shipped.prepared import prepared_file
from REACTKDTrainLib.shipped.tables import MODALITIES

SUBSETS = tuple(c for n in (1, 2, 3) for c in combinations(MODALITIES, n))


def subset_moments(levels: dict[str, list[Tensor]], occupancy: Tensor) -> dict[str, Tensor]:
    """levels: modality -> three maps (C_l, ...). Returns subset name -> (n, F) as `pooling.fused_nodes` gives it."""
    parts: dict[str, list[Tensor]] = {"+".join(s): [] for s in SUBSETS}
    weights = occupancy[None]
    for level in range(3):
        if level:
            weights = F.avg_pool3d(weights, 2, ceil_mode=True)
        w = weights[0].flatten(1)
        w = w / w.sum(dim=1, keepdim=True).clamp_min(1e-6)
        maps = {m: levels[m][level].flatten(1) for m in MODALITIES}
        mean = {m: w @ x.T for m, x in maps.items()}
        shift = {m: x - mean[m].mean(dim=0)[:, None] for m, x in maps.items()}
        first = {m: w @ x.T for m, x in shift.items()}
        covariance = {
            (a, b): w @ (shift[a] * shift[b]).T - first[a] * first[b]
            for i, a in enumerate(MODALITIES)
            for b in MODALITIES[i:]
        }
        for subset in SUBSETS:
            variance = sum(covariance[(a, b) if (a, b) in covariance else (b, a)] for a in subset for b in subset)
            spread = variance.clamp_min(0).add(1e-8).sqrt()
            parts["+".join(subset)] += [sum(mean[m] for m in subset), torch.log(spread + 0.01)]
    return {name: torch.cat(p, dim=1) for name, p in parts.items()}


@torch.inference_mode()
def encode_case(student: Student, path: Path) -> Tensor:
    """(7 subsets, MAX_NODES, F) of one prepared case, zero-padded."""
    case = load_prepared(path)
    pad = [p for n in reversed(case.images.shape[1:]) for p in (0, -n % 4)]
    images = F.pad(case.images[None], pad, mode="replicate")[0]
    occupancy = F.pad(case.masks.occupancy, pad)
    levels = {}
    for m, name in enumerate(MODALITIES):
        bands = gaussian_bands(images[m][None, None]).contiguous(memory_format=torch.channels_last_3d)
        levels[name] = [x[0] for x in student.encoders(name, bands)]
    nodes = subset_moments(levels, occupancy)
    out = torch.zeros(len(SUBSETS), MAX_NODES, student.fused_size)
    for s, subset in enumerate(SUBSETS):
        out[s, : len(occupancy)] = nodes["+".join(subset)]
    return out


def encode_cohort(student: Student, folder: Path, seeds: list[int], report=None) -> dict[str, Tensor]:
    """Encoder moments of many cases: subset name -> (N, MAX_NODES, F)."""
    rows = []
    for n, seed in enumerate(seeds):
        rows.append(encode_case(student, prepared_file(folder, seed)))
        if report is not None and n % 100 == 99:
            report(n + 1, len(seeds))
    stacked = torch.stack(rows, dim=1)
    return {"+".join(s): stacked[i].clone() for i, s in enumerate(SUBSETS)}
