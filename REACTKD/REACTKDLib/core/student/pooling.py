"""Pooling: the only place where masks enter. Moments of maps over soft regions, shells and pairs of voxels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.memo import Memo
from REACTKDLib.core.student.bands import N_BANDS
from REACTKDLib.core.student.encoder import crop_levels

LAGS = (1, 2, 3, 4, 6)
N_SHELLS = 6
QUANTILES = (0.03, 0.08, 0.2, 0.5, 0.8, 0.92)
_EPS = 1e-4
#: how many numbers a block gives per node and modality
BLOCK_SIZES = {"input": 2, "bands": 2 * N_BANDS, "shells": N_SHELLS + 2 + len(QUANTILES) + len(LAGS) + 1, "shape": 2}
_RAMP = 0.3
_NECROTIC = 1.0  # so far below its median, in units of the network's input (25 HU), a lesion counts as necrotic
_FULL_SHELL_VOXELS = 20.0  # 0.3 ml: a shell smaller than this counts in proportion


@dataclass(frozen=True, eq=False)
class NodeMasks:
    """Soft masks of one case on the network's grid (or a box of it).

    occupancy: (n, D, H, W), node 0 the parenchyma. shells: (n - 1, 6, D, H, W), see `core.masks.shells`, or what gives
    those of lesion n by its index. keys: of each lesion, see `core.masks.placement.Placement`; for pooling with a memo.
    shape: (n, 2), see `core.masks.topology.region_shape`, where nodes hold it.
    """

    occupancy: Tensor
    shells: Tensor
    keys: tuple[bytes, ...] = ()
    shape: Tensor | None = None
    _found: dict[int, tuple[Box, Tensor, Tensor | None]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.occupancy)

    @cached_property
    def parenchyma(self) -> tuple[Tensor, Tensor]:
        """Where the parenchyma is, (V,) in flattened maps, and its occupancy there, (V,): a third of the box."""
        occupancy = self.occupancy[0].flatten()
        places = torch.nonzero(occupancy).flatten()
        return places, occupancy[places]

    def lesion(self, n: int) -> tuple[Box, Tensor, Tensor | None]:
        """Of lesion n, from 0, its box, and its occupancy and shells there: found once, used for every modality.

        Without shells, where there are none, in place of them None.
        """
        if n not in self._found:
            occupancy, shells = self.occupancy[1 + n], self.shells[n] if len(self.shells) else None
            box = smallest_box(occupancy if shells is None else torch.maximum(occupancy, shells.amax(dim=0)))
            own = None if shells is None else shells[(slice(None), *box)].clone()
            self._found[n] = box, occupancy[box], own
        return self._found[n]


def moments(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation. maps: (C, ...); weights: (n, ...). Returns two (n, C).

    Two passes, so that a small spread on a large mean keeps its digits.
    """
    flat, w = maps.flatten(1), weights.flatten(1)
    w = w / w.sum(dim=1, keepdim=True).clamp_min(1e-6)
    mean = w @ flat.T
    shifted = flat - mean.mean(dim=0, keepdim=True).T
    first = w @ shifted.T
    squares = shifted.square() if torch.is_grad_enabled() else shifted.square_()  # in place: maps are large
    variance = w @ squares.T - first.square()
    return mean, variance.clamp_min(0).add(_EPS**2).sqrt()


def variogram(image: Tensor, weight: Tensor) -> Tensor:
    """ln of the mean squared difference of voxel pairs inside a soft mask, averaged over the axes, for each lag.

    image, weight: (D, H, W). Returns (5,); a lag without pairs repeats the one before it.
    """
    values = []
    for lag in LAGS:
        total, mass = image.new_zeros(()), image.new_zeros(())
        for axis in range(3):
            n = image.shape[axis] - lag
            if n <= 0:
                continue
            pair = weight.narrow(axis, 0, n) * weight.narrow(axis, lag, n)
            total = total + (pair * (image.narrow(axis, 0, n) - image.narrow(axis, lag, n)).square()).sum()
            mass = mass + pair.sum()
        previous = values[-1] if values else image.new_tensor(-4.0)
        values.append(torch.log(total / mass.clamp_min(1e-6) + _EPS) if mass > 1.0 else previous)
    return torch.stack(values)


@torch.no_grad()
def weighted_quantiles(values: Tensor, weights: Tensor) -> Tensor:
    """Quantiles `QUANTILES` of values (V,) with weights (V,): the value at which the summed weight passes a share.

    Without gradient: it would fall on one voxel for each quantile, and on another one after the least change, so a
    voxel map would show hot spots that mean nothing.
    """
    order = torch.argsort(values)
    share = torch.cumsum(weights[order], dim=0)
    wanted = share.new_tensor(QUANTILES) * share[-1]
    return values[order][torch.searchsorted(share, wanted).clamp_max(len(values) - 1)]


def smallest_box(weight: Tensor) -> Box:
    """Smallest box of the non-zero voxels of (D, H, W); one voxel when there are none."""
    box = []
    for axis in range(3):
        hits = torch.nonzero(weight.amax(dim=tuple(a for a in range(3) if a != axis)) > 0).flatten()
        box.append(slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else slice(0, 1))
    return tuple(box)


def shell_profile(image: Tensor, smooth: Tensor, occupancy: Tensor, shells: Tensor) -> Tensor:
    """Radial profile of the living part of one lesion, what of it is necrotic, and the texture of its inside.

    image, smooth (the image without its finest bands), occupancy: (D, H, W); shells: (6, D, H, W). Returns (20,):
    shell means and the whole mean relative to the living inside, the necrotic share, quantiles relative to the mean,
    the variogram and the ln spread of the living inside. Shells that the lesion does not have give 0. The inside lies
    below 5 mm, clear of capsule and boundary, where the lesion is large enough for it; voxels far below the median are
    taken out of it, since the edge of a necrosis would drown the texture around it.
    """
    mean = moments(image[None], occupancy[None])[0][0, 0]
    quantiles = weighted_quantiles(smooth.flatten(), occupancy.flatten().square())  # squared: the inside counts most
    # A ramp, not a step: the last bit of a voxel must not move it from living to necrotic.
    living = ((smooth - quantiles[QUANTILES.index(0.5)] + _NECROTIC) / _RAMP + 0.5).clamp(0, 1)
    inner = (shells[3] + shells[4]) * living
    inner = inner if inner.sum() > 2 * _FULL_SHELL_VOXELS else occupancy * living
    (level,), (spread,) = (part[0] for part in moments(image[None], inner[None]))
    weights = torch.cat([shells[:1], shells[1:] * living])
    means = moments(image[None], weights)[0][:, 0]
    share = (weights.flatten(1).sum(dim=1) / _FULL_SHELL_VOXELS).clamp_max(1.0)
    necrotic = 1 - (occupancy * living).sum() / occupancy.sum().clamp_min(1e-6)
    return torch.cat(
        [
            (means - level) * share,
            torch.stack([mean - level, necrotic]),
            quantiles - mean,
            variogram(image, inner),
            torch.log(spread)[None],
        ]
    )


def fixed_nodes(
    image: Tensor, bands: Tensor, masks: NodeMasks, blocks: tuple[str, ...], memo: Memo | None = None
) -> Tensor:
    """The part of the node vectors that needs no learning, for one modality.

    image: (D, H, W); bands: (5, D, H, W). memo: of this image; lesions that have not changed are taken from it, by
    `masks.keys`. Returns (n, sum of BLOCK_SIZES over `blocks` without 'encoder'); the shape, which is no image's, is
    the last block of each. Raises: ValueError for a shape that the masks lack.
    """
    with_shape = "shape" in blocks
    if with_shape and masks.shape is None:
        raise ValueError("these masks have no shapes; place them with shapes=True")
    places, parenchyma = masks.parenchyma
    inside = (maps.flatten(-3).index_select(-1, places) for maps in (image, bands))
    rows = [_fixed_node(*inside, parenchyma, None, blocks)]
    for n in range(len(masks) - 1):

        def row(n: int = n) -> Tensor:
            box, occupancy, shells = masks.lesion(n)
            return _fixed_node(image[box], bands[(slice(None), *box)], occupancy, shells, blocks)

        rows.append(row() if memo is None else memo.of(("fixed", masks.keys[n]), row))
    own = torch.stack(rows)
    return torch.cat([own, masks.shape.to(own)], dim=1) if with_shape else own


def _fixed_node(image: Tensor, bands: Tensor, occupancy: Tensor, shells: Tensor | None, blocks: tuple) -> Tensor:
    """Of one region, given on a box that holds it. shells: (6, D, H, W), None for the parenchyma, whose block is 0.

    Without shells, voxels may come in one row too: image and occupancy (V,), bands (5, V).
    """
    parts = [image.new_zeros(0)]
    for block, maps in (("input", image[None]), ("bands", bands)):
        if block in blocks:
            (mean,), (spread,) = moments(maps, occupancy[None])
            parts += [mean, torch.log(spread)]
    if "shells" in blocks and shells is None:
        parts.append(image.new_zeros(BLOCK_SIZES["shells"]))
    elif "shells" in blocks:
        parts.append(shell_profile(image, bands[2:].sum(dim=0), occupancy, shells))
    return torch.cat(parts)


def remembered_fused_nodes(levels: list[Tensor], masks: NodeMasks, spread: bool, memo: Memo) -> Tensor:
    """As `fused_nodes`, lesion by lesion on boxes; those that have not changed come out of `memo`, of these maps."""
    rows = [fused_nodes(levels, masks.occupancy[:1], spread)]
    for n in range(len(masks) - 1):

        def row(n: int = n) -> Tensor:
            own = masks.occupancy[1 + n]
            coarse = 2 ** (len(levels) - 1)  # boxes start on cells of the coarsest map
            box = [slice(s.start // coarse * coarse, -(-s.stop // coarse) * coarse) for s in smallest_box(own)]
            return fused_nodes(crop_levels(levels, tuple(box)), own[tuple(box)][None], spread)

        rows.append(memo.of(("fused", masks.keys[n]), row))
    return torch.cat(rows)


def fused_nodes(levels: list[Tensor], occupancy: Tensor, spread: bool) -> Tensor:
    """Moments of the fused maps over the regions at every level.

    levels: (C_l, D / 2^l, ...) each; occupancy: (n, D, H, W). Returns (n, sum of C_l, twice that with `spread`).
    """
    parts = []
    weights = occupancy[None]
    for n, level in enumerate(levels):
        if n:
            weights = F.avg_pool3d(weights, 2, ceil_mode=True)
        mean, deviation = moments(level, weights[0])
        parts.append(mean)
        if spread:
            parts.append(torch.log(deviation + 0.01))
    return torch.cat(parts, dim=1)
