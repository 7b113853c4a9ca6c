"""Regions on the network's grid: the box that they need, and the fraction of each cell that each of them fills."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from REACTKDLib.core.images.grid import Box, Grid
from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.masks.shells import SHELL_REACH_MM, shell_box, shell_occupancy
from REACTKDLib.core.masks.topology import region_shape, topology_descriptors
from REACTKDLib.core.memo import Memo

# Boxes are aligned to multiples of this, so that a box of the input grid is also one of the maps at half and a quarter.
ALIGN = 4


@dataclass(frozen=True, eq=False)
class Placement:
    """The masks in the form that pooling needs.

    box: of the network's grid, contains every region. occupancy: (n, d, h, w) float32 on the box, node 0 the
    parenchyma. shells: for each lesion a box within `box` and its shells (6, ...) there. topology: (7,) float32. keys:
    of each lesion, equal if it fills the same cells and has the same shells. shape: (n, 2) float32, `region_shape` of
    each lesion, zeros for the parenchyma; None if not requested.
    """

    box: Box
    grid: Grid
    occupancy: np.ndarray
    shells: tuple[tuple[Box, np.ndarray], ...]
    topology: np.ndarray
    keys: tuple[bytes, ...] = ()
    shape: np.ndarray | None = None


def place_regions(
    regions: RegionSet, grid: Grid, shells: bool = True, memo: Memo | None = None, shapes: bool = False
) -> Placement:
    """Average the regions onto `grid` (along the reference volume's axes: see `Preparation.grid_for`).

    memo: cache for this grid and reference volume; shells and shapes of unchanged lesions are taken from it.
    """
    memo = memo or Memo()
    box = box_on(grid, regions.ijk_to_ras, regions.box)
    part = grid.part(box)
    occupancy = regions.occupancy(part)
    small, keys, shape = [], [], [np.zeros(2, dtype=np.float32)]
    for index in range(1, len(regions.regions)):
        own = box_on(part, regions.ijk_to_ras, regions.regions[index].box, SHELL_REACH_MM)
        keys.append(_key(regions, index, box, own))
        if shells:
            make = partial(shell_occupancy, regions, index, part.part(own))
            small.append((own, memo.of(("shells", keys[-1]), make)))
        if shapes:
            shape.append(memo.of(("shape", keys[-1]), partial(region_shape, regions, index)))
    topology = topology_descriptors(regions).values
    return Placement(box, part, occupancy, tuple(small), topology, tuple(keys), np.stack(shape) if shapes else None)


def _key(regions: RegionSet, index: int, box: Box, own: Box) -> bytes:
    """Return a hash of a lesion's voxels, of the parenchyma around it, and of the cells of the grid on which it is
    placed.
    """
    around = shell_box(regions, index)
    labels = regions.labels[around]
    kinds = (labels == 1).astype(np.uint8)
    kinds[labels == regions.regions[index].label] = 2
    cells = [(o.start + b.start, o.stop + b.start) for o, b in zip(own, box, strict=True)]
    digest = hashlib.blake2b(repr((around, cells)).encode(), digest_size=16)
    digest.update(kinds)
    return digest.digest()


def box_on(grid: Grid, ijk_to_ras: np.ndarray, box: Box, reach_mm: float = 0.0) -> Box:
    """Return the box of `grid`, aligned to `ALIGN`, that contains a box of the reference grid and `reach_mm` around it.

    ijk_to_ras: (4, 4), of the reference grid.
    """
    corners = np.array([[s.start - 0.5, s.stop - 0.5] for s in box[::-1]])
    points = np.array(np.meshgrid(*corners, indexing="ij")).reshape(3, -1)
    ras = ijk_to_ras[:3, :3] @ points + ijk_to_ras[:3, 3:]
    index = np.linalg.solve(grid.ijk_to_ras[:3, :3], ras - grid.ijk_to_ras[:3, 3:])
    out = []
    for axis, n in zip((2, 1, 0), grid.shape):
        pad = reach_mm / grid.spacing[axis]
        low = int(np.floor(index[axis].min() - pad + 0.5 + 1e-6)) // ALIGN * ALIGN
        high = -(-int(np.ceil(index[axis].max() + pad + 0.5 - 1e-6)) // ALIGN) * ALIGN
        low = min(max(low, 0), (n - 1) // ALIGN * ALIGN)
        out.append(slice(low, max(min(high, n), min(low + ALIGN, n))))
    return tuple(out)
