"""A view without its voxels: what heads on fixed node vectors need, thousands of which fit in memory."""

from __future__ import annotations

from dataclasses import replace

import torch

from REACTKDTrainLib.data.case import RegionMasks
from REACTKDTrainLib.data.view import View


def without_voxels(view: View) -> View:
    """The same view with images and masks of no voxels; node vectors, topology, matches and names stay."""
    empty = {name: torch.zeros(0, 0, 0) for name in view.images}
    return replace(view, images=empty, hu=None, expert=_without_voxels(view.expert), masks=_without_voxels(view.masks))


def _without_voxels(masks: RegionMasks) -> RegionMasks:
    shells = torch.zeros(len(masks) - 1, 6, 0, 0, 0)
    return replace(masks, occupancy=torch.zeros(len(masks), 0, 0, 0), shells=shells)
