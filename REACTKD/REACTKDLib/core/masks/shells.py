"""Shells: layers of a lesion by depth below its surface, to tell a capsule or an active rim from the interior.

A mean over the whole lesion cannot show a ring; means over shells can. Depth is measured on the reference grid, in mm,
and every shell is then area-averaged to the network's grid like any other mask.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.images.grid import Box, Grid
from REACTKDLib.core.masks.depth import signed_depth
from REACTKDLib.core.masks.regions import RegionSet, average_to_grid

#: depth limits in mm, positive inside; the last shell is the outer third of the volume, whatever its depth
DEPTHS_MM = ((-5.0, 0.0), (0.0, 2.5), (2.5, 5.0), (5.0, 10.0), (10.0, np.inf))
SHELL_NAMES = ("outside 0-5 mm", "0-2.5 mm", "2.5-5 mm", "5-10 mm", "below 10 mm", "outer third")
SHELL_REACH_MM = 6.0  # outside a lesion: the outermost shell plus a millimeter


def shell_box(regions: RegionSet, index: int) -> Box:
    """Return the part of the reference grid on which the shells of region `index` depend."""
    pad = np.ceil(SHELL_REACH_MM / regions.spacing[::-1]).astype(int)
    return tuple(
        slice(max(s.start - p, 0), min(s.stop + p, n))
        for s, p, n in zip(regions.regions[index].box, pad, regions.labels.shape, strict=True)
    )


def lesion_depth(regions: RegionSet, index: int) -> tuple[np.ndarray, Box]:
    """Return the signed depth (mm, positive inside) of region `index` on its padded box, and that box."""
    box = shell_box(regions, index)
    mask = regions.labels[box] == regions.regions[index].label
    return signed_depth(mask, regions.spacing[::-1]).astype(np.float32), box


def shell_occupancy(regions: RegionSet, index: int, grid: Grid) -> np.ndarray:
    """Return the area-averaged shells of lesion `index` on `grid`: (6, D, H, W) float32, in the order of SHELL_NAMES.

    The shell outside the lesion is limited to parenchyma.
    """
    depth, box = lesion_depth(regions, index)
    labels = regions.labels[box]
    region = regions.regions[index]
    inside = labels == region.label
    out = np.zeros((len(SHELL_NAMES), *grid.shape), dtype=np.float32)
    for n, (low, high) in enumerate(DEPTHS_MM):
        where = (depth > low) & (depth <= high) & ((labels == 1) if high <= 0 else inside)
        average_to_grid(where, box, regions.ijk_to_ras, grid, out[n])
    third = np.quantile(depth[inside], 1 / 3)
    average_to_grid(inside & (depth <= third), box, regions.ijk_to_ras, grid, out[-1])
    return out
