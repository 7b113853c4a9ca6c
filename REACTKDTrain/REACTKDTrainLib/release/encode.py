"""Encoder moments of whole volumes, for every subset of modalities, from one pass per modality."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.modality import SUBSETS
from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.network import Student
from REACTKDTrainLib.nodes.subset_moments import subset_moments
from REACTKDTrainLib.release.extract import MAX_NODES, load_prepared
from REACTKDTrainLib.release.prepared import prepared_file
from REACTKDTrainLib.release.tables import MODALITIES


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
