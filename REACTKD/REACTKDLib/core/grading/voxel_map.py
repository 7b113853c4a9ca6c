"""The voxel map: the evidence at each voxel, from the gradient of the predicted logit with respect to the cached maps.

    A = max(0, G * sum_c (F_c - m_c) dz/dF_c)

z: logit of the predicted class. F_c: every cached channel that pooling reads (images, bands, fused encoder maps, the
coarser ones interpolated to the input grid with their sum kept). m_c: the channel's mean over the parenchyma, so that
(F_c - m_c) dz/dF_c is the first-order change of the logit if the voxel looked like the rest of the organ. G: a Gaussian
of one voxel. A is then interpolated linearly to the reference volume and set to 0 outside the regions.

This is HiResCAM (Draelos and Carin 2020, arXiv 2011.08891) with the parenchyma as reference. The gradient is taken in
two steps, first to the node vectors, then back through pooling for one group of maps at a time, so that the gradient of
only one group is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.grading.runner import StudentRunner, crop, crop_fused
from REACTKDLib.core.images.geometry import apply_separable, from_ras_order, linear_weights, to_ras_order
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.masks.placement import Placement
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.student.bands import smooth
from REACTKDLib.core.student.head import Decision
from REACTKDLib.core.student.network import FeatureMaps, NodeVectors
from REACTKDLib.core.student.pooling import NodeMasks, fixed_nodes, fused_nodes


def gradient_map(
    runner: StudentRunner,
    features: FeatureMaps,
    fused: list[Tensor],
    placement: Placement,
    predicted: int,
    muted: Sequence[int] = (),
) -> np.ndarray:
    """Return A (see the module's docstring) on the placement's box, (d, h, w) float32, in logits per grid voxel.

    predicted: index of the class. muted: nodes that are left out.
    """
    masks, config = runner.masks(placement), runner.student.config
    nodes = runner.pool(features, fused, placement)
    to_fused, to_fixed = _node_gradients(runner, nodes, placement.topology, predicted, muted)
    total = torch.zeros_like(masks.occupancy[0])
    cropped = crop(features, placement.box)
    for name, gradient in to_fixed.items():
        leaves = [t.detach().requires_grad_() for t in (cropped.images[name][None], cropped.bands[name])]
        with torch.enable_grad():
            vectors = fixed_nodes(leaves[0][0], leaves[1], masks, config.blocks)
        total += _evidence(vectors, leaves, gradient, masks)
    if to_fused is not None:
        leaves = [t.detach().requires_grad_() for t in crop_fused(fused, features, placement.box)]
        with torch.enable_grad():
            vectors = fused_nodes(leaves, masks.occupancy, config.spread)
        total += _evidence(vectors, leaves, to_fused, masks)
    return smooth(total, 1.0).clamp_min(0).cpu().numpy()


def onto_reference(values: np.ndarray, grid: Grid, regions: RegionSet) -> np.ndarray:
    """Interpolate (d, h, w) on `grid` linearly to the reference volume's voxels, 0 outside the regions. float32."""
    box = regions.box
    placed = Grid(regions.labels.shape, regions.ijk_to_ras).part(box).ijk_to_ras
    view, matrix = to_ras_order(regions.labels[box], placed)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    first = np.linalg.solve(matrix[:3, :3] / spacing, matrix[:3, 3] - grid.ijk_to_ras[:3, 3])
    weights = tuple(
        linear_weights(grid.shape[2 - a], grid.spacing[a], first[a], view.shape[2 - a], spacing[a]) for a in (2, 1, 0)
    )
    out = np.zeros(regions.labels.shape, dtype=np.float32)
    out[box] = from_ras_order(apply_separable(values, weights) * (view > 0), placed)
    return out


def _node_gradients(
    runner: StudentRunner, nodes: NodeVectors, topology: np.ndarray, predicted: int, muted: Sequence[int]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Return the gradient of the logit with respect to the fused node vectors and to the fixed ones of each
    modality.
    """
    leaves = NodeVectors(
        nodes.fused.detach().requires_grad_(), {n: v.detach().requires_grad_() for n, v in nodes.fixed.items()}
    )
    with torch.enable_grad():
        decision = runner.student.decide(leaves, torch.from_numpy(topology).to(runner.device))
        logit = _logits(decision, muted)[predicted]
    wanted = {"": leaves.fused, **leaves.fixed}
    wanted = {name: leaf for name, leaf in wanted.items() if leaf.numel()}
    found = dict(zip(wanted, torch.autograd.grad(logit, list(wanted.values()))))
    return found.pop("", None), found


def _logits(decision: Decision, muted: Sequence[int]) -> Tensor:
    """Return the logits (K,), with the softmax over the nodes that are not muted."""
    keep = [n for n in range(len(decision.weights)) if n not in muted]
    attention = torch.softmax(torch.cat([decision.attention[keep], decision.attention[-1:]]), dim=0)
    return decision.bias + attention @ torch.cat([decision.scores[keep], decision.null_score[None]])


def _evidence(vectors: Tensor, leaves: list[Tensor], gradient: Tensor, masks: NodeMasks) -> Tensor:
    """Return the sum over the channels of `leaves` (C, ...) of (F - m) dz/dF, on the grid of the first leaf.

    (d, h, w).
    """
    total = torch.zeros_like(masks.occupancy[0])
    # The gradient of a sum, not `grad_outputs`: PyTorch checks those with SymPy, whose import takes half a second.
    weighted = (vectors * gradient).sum()
    for leaf, slope in zip(leaves, torch.autograd.grad(weighted, leaves, allow_unused=True)):
        if slope is None:  # this student does not pool this block
            continue
        weight = masks.occupancy[:1]
        factor = 1
        while weight.shape[1:] != leaf.shape[1:]:
            weight, factor = F.avg_pool3d(weight[None], 2, ceil_mode=True)[0], factor * 2
        values = leaf.detach()
        mean = (values * weight).sum(dim=(1, 2, 3)) / weight.sum().clamp_min(1e-6)
        part = ((values - mean[:, None, None, None]) * slope).sum(dim=0)
        if factor > 1:
            part = F.interpolate(part[None, None] / factor**3, scale_factor=factor, mode="trilinear")[0, 0]
            part = part[tuple(slice(n) for n in total.shape)]
        total += part
    return total
