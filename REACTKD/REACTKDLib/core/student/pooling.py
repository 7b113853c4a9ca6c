"""Pooling, the only step that uses masks: moments of maps over soft regions, shells and pairs of voxels."""

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
#: number of values of each block per node and modality
BLOCK_SIZES = {"input": 2, "bands": 2 * N_BANDS, "shells": N_SHELLS + 2 + len(QUANTILES) + len(LAGS) + 1, "shape": 2}
_RAMP = 0.3
_NECROTIC = 1.0  # tissue this far below the lesion's median (25 HU, in the network's units) counts as necrotic
_FULL_SHELL_VOXELS = 20.0  # 0.3 ml: a smaller shell is weighted in proportion


@dataclass(frozen=True, eq=False)
class NodeMasks:
    """Soft masks of one case on the network's grid (or a box of it).

    occupancy: (n, D, H, W), node 0 the parenchyma. shells: (n - 1, 6, D, H, W), see `core.masks.shells`, or an object
    that returns those of lesion n by its index. keys: of each lesion, see `core.masks.placement.Placement`; for pooling
    with a cache. shape: (n, 2), see `core.masks.topology.region_shape`, if nodes include it.
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
        """The indices of the parenchyma's voxels in flattened maps, (V,), and its occupancy there, (V,): a third of the
        box.
        """
        occupancy = self.occupancy[0].flatten()
        places = torch.nonzero(occupancy).flatten()
        return places, occupancy[places]

    def lesion(self, n: int) -> tuple[Box, Tensor, Tensor | None]:
        """Return the box of lesion n (from 0), and its occupancy and shells there: computed once, used for every
        modality.

        The shells are None if there are none.
        """
        if n not in self._found:
            occupancy, shells = self.occupancy[1 + n], self.shells[n] if len(self.shells) else None
            box = smallest_box(occupancy if shells is None else torch.maximum(occupancy, shells.amax(dim=0)))
            own = None if shells is None else shells[(slice(None), *box)].clone()
            self._found[n] = box, occupancy[box], own
        return self._found[n]


def moments(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return weighted means and standard deviations. maps: (C, ...); weights: (n, ...). Returns two (n, C).

    Computed in two passes, so that a small deviation from a large mean keeps its precision.
    """
    flat, w = maps.flatten(1), weights.flatten(1)
    w = w / w.sum(dim=1, keepdim=True).clamp_min(1e-6)
    mean = w @ flat.T
    shifted = flat - mean.mean(dim=0, keepdim=True).T
    first = w @ shifted.T
    squares = shifted.square() if torch.is_grad_enabled() else shifted.square_()  # in place, since maps are large
    variance = w @ squares.T - first.square()
    return mean, variance.clamp_min(0).add(_EPS**2).sqrt()


def variogram(image: Tensor, weight: Tensor) -> Tensor:
    """Return ln of the mean squared difference of voxel pairs inside a soft mask, averaged over the axes, for each lag.

    image, weight: (D, H, W). Returns (5,); a lag without pairs repeats the previous value.
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
    """Return the quantiles `QUANTILES` of values (V,) with weights (V,): the values at these cumulative weights.

    No gradient is computed: it would be concentrated in one voxel for each quantile, and in another one after the
    slightest change, so a voxel map would show meaningless hot spots.
    """
    order = torch.argsort(values)
    share = torch.cumsum(weights[order], dim=0)
    wanted = share.new_tensor(QUANTILES) * share[-1]
    return values[order][torch.searchsorted(share, wanted).clamp_max(len(values) - 1)]


def smallest_box(weight: Tensor) -> Box:
    """Return the smallest box of the non-zero voxels of (D, H, W); one voxel if there are none."""
    box = []
    for axis in range(3):
        hits = torch.nonzero(weight.amax(dim=tuple(a for a in range(3) if a != axis)) > 0).flatten()
        box.append(slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else slice(0, 1))
    return tuple(box)


def shell_profile(image: Tensor, smooth: Tensor, occupancy: Tensor, shells: Tensor) -> Tensor:
    """Return the radial profile of the viable part of one lesion, its necrotic fraction, and the texture of its
    interior.

    image, smooth (the image without its finest bands), occupancy: (D, H, W); shells: (6, D, H, W). Returns (20,): the
    shell means and the overall mean relative to the viable interior, the necrotic fraction, quantiles relative to the
    mean, and the variogram and the ln standard deviation of the viable interior. Shells that the lesion does not have
    are 0. The interior is deeper than 5 mm, away from capsule and boundary, if the lesion is large enough. Voxels far
    below the median are excluded from it, since the edge of a necrosis would dominate the texture.
    """
    mean = moments(image[None], occupancy[None])[0][0, 0]
    quantiles = weighted_quantiles(smooth.flatten(), occupancy.flatten().square())  # squared, to emphasize the interior
    # A ramp, not a step: rounding of a voxel must not move it from viable to necrotic.
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
    """Return the node vectors without learned parameters, for one modality.

    image: (D, H, W); bands: (5, D, H, W). memo: cache for this image; unchanged lesions are taken from it, by
    `masks.keys`. Returns (n, sum of BLOCK_SIZES over `blocks` without 'encoder'); the shape, which does not depend on
    the image, is the last block. Raises: ValueError if the masks lack a shape that is needed.
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
    """Return the vector of one region, given on a box that contains it.

    shells: (6, D, H, W); None for the parenchyma, for which this block is 0.

    Without shells, voxels may also be flattened: image and occupancy (V,), bands (5, V).
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
    """Like `fused_nodes`, but one lesion at a time, on boxes; unchanged lesions are taken from `memo`, the cache for
    these maps.
    """
    rows = [fused_nodes(levels, masks.occupancy[:1], spread)]
    for n in range(len(masks) - 1):

        def row(n: int = n) -> Tensor:
            own = masks.occupancy[1 + n]
            coarse = 2 ** (len(levels) - 1)  # boxes are aligned to cells of the coarsest map
            box = [slice(s.start // coarse * coarse, -(-s.stop // coarse) * coarse) for s in smallest_box(own)]
            return fused_nodes(crop_levels(levels, tuple(box)), own[tuple(box)][None], spread)

        rows.append(memo.of(("fused", masks.keys[n]), row))
    return torch.cat(rows)


def fused_nodes(levels: list[Tensor], occupancy: Tensor, spread: bool) -> Tensor:
    """Return moments of the fused maps over the regions at every level.

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
