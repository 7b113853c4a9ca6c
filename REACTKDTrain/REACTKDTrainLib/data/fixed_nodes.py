"""Fixed node vectors: the columns of each block, and their computation for a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from REACTKDLib.core.student.bands import gaussian_bands
from REACTKDLib.core.student.pooling import BLOCK_SIZES, fixed_nodes
from REACTKDTrainLib.data.case import RegionMasks

#: in the order of `core.student.pooling.fixed_nodes`
FIXED_BLOCKS = ("input", "bands", "shells", "shape")
FIXED_SIZE = sum(BLOCK_SIZES[b] for b in FIXED_BLOCKS)


def columns_of(blocks: Sequence[str]) -> list[int]:
    """Return the columns of the fixed vectors that belong to `blocks`."""
    columns, start = [], 0
    for name in FIXED_BLOCKS:
        if name in blocks:
            columns += range(start, start + BLOCK_SIZES[name])
        start += BLOCK_SIZES[name]
    return columns


@torch.no_grad()
def fixed_vectors(
    images: Mapping[str, Tensor], masks: RegionMasks, bands: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """modality -> (n, FIXED_SIZE) for images (d, h, w). bands: for each image (5, d, h, w), if already computed."""
    nodes = masks.node_masks()
    out = {}
    for name, image in images.items():
        own = gaussian_bands(image[None, None])[0] if bands is None else bands[name]
        out[name] = fixed_nodes(image, own, nodes, FIXED_BLOCKS)
    return out
