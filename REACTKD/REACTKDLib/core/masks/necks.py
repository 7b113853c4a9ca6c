"""Necks: places where one lesion of the mask looks like two lesions that touch.

The depth below the surface (a Euclidean distance, in mm) has a peak in each core of a lesion. The deepest path between
two cores crosses a saddle: its depth is half the width of the neck, as the depth of a peak is half the width of the
core. A lesion has a neck if the neck is narrower than 0.7 of the smaller core and separates two pieces of at least 0.5
ml. The pieces come from a watershed of the depth; pieces that no such neck separates are merged again, the widest neck
first.

docs/explanation/method.md, "Necks", explains the choice of 0.7, and what is found and missed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.images.neighbors import CONNECTED, HALF_OF_NEIGHBORS
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.memo import Memo

NARROW = 0.7  # of the width of the smaller core
SMALLEST_CORE_ML = 0.5
CELLS = 24  # along the longest side; with more, a large lesion takes a tenth of a second


@dataclass(frozen=True, eq=False)
class Parted:
    """A lesion divided at its necks. parts: int (d, h, w) on the lesion's box, 1 to `count`, largest first, 0 outside.

    neck: (k, j, i) in the box, a voxel at the narrowest neck; None if there is none.
    """

    parts: np.ndarray
    count: int
    neck: tuple[int, int, int] | None


def parted(mask: np.ndarray, spacing: np.ndarray) -> Parted:
    """Divide a lesion, bool (d, h, w), at its necks. spacing: (3,) mm, k, j, i."""
    spacing = np.asarray(spacing, dtype=float)
    whole = Parted(mask.astype(np.int32), int(mask.any()), None)
    if np.count_nonzero(mask) * np.prod(spacing) / 1000 < 2 * SMALLEST_CORE_ML:
        return whole
    cells, steps = _coarse(mask, spacing)
    depth, basins = _basins(cells, spacing * steps)
    joined, narrowest = _join(basins, depth, float(np.prod(spacing * steps)) / 1000)
    if joined.max() < 2:
        return whole
    return _laid_back(mask, joined[basins], steps, narrowest)


def neck_of(regions: RegionSet, lesion: Region, memo: Memo | None = None) -> tuple[float, float, float] | None:
    """Return the position of a lesion's narrowest neck, mm RAS; None if it has none."""
    mask = regions.labels[lesion.box] == lesion.label
    digest = hashlib.blake2b(repr((lesion.box, mask.shape)).encode(), digest_size=16)
    digest.update(np.packbits(mask))
    found = (memo or Memo()).of(("neck", digest.digest()), lambda: parted(mask, regions.spacing[::-1]).neck)
    if found is None:
        return None
    kji = np.array(found) + [part.start for part in lesion.box]
    return tuple(float(v) for v in regions.ijk_to_ras[:3, :3] @ kji[::-1] + regions.ijk_to_ras[:3, 3])


def _coarse(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask with an empty margin, in cells of about a 24th of its longest side, and the cell size in
    voxels.
    """
    pace = (np.array(mask.shape) * spacing).max() / CELLS
    steps = np.maximum(1, np.floor(pace / spacing + 1e-6)).astype(int)
    padded = np.pad(mask, [(int(s), int(s + (-n) % s)) for s, n in zip(steps, mask.shape, strict=True)])
    k, j, i = (n // s for n, s in zip(padded.shape, steps, strict=True))
    cells = padded.reshape(k, steps[0], j, steps[1], i, steps[2]).mean(axis=(1, 3, 5), dtype=np.float32)
    return cells >= 0.5, steps


def _basins(cells: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth of each cell in mm, and the peak (basin) to which it belongs: 1 and up, 0 outside."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
    from skimage.segmentation import watershed

    depth = distance_transform_edt(cells, sampling=spacing)
    depth = np.where(cells, depth - float(np.mean(spacing)) / 2, 0.0)  # the surface lies half a cell outside
    smooth = np.where(cells, gaussian_filter(depth, 1.0 / spacing), 0.0)  # or every step of the surface is a peak
    peaks, _count = label((maximum_filter(smooth, footprint=CONNECTED) == smooth) & cells, structure=CONNECTED)
    return depth, watershed(-smooth, peaks, mask=cells, connectivity=CONNECTED)


def _join(basins: np.ndarray, depth: np.ndarray, cell_ml: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Merge basins that no neck separates.

    Returns the part of each basin, 1 and up, and a cell at the narrowest neck.
    """
    count = int(basins.max())
    volume = np.bincount(basins.ravel(), minlength=count + 1) * cell_ml
    peak = np.zeros(count + 1)
    np.maximum.at(peak, basins.ravel(), depth.ravel())
    saddles, part = _saddles(basins, depth), np.arange(count + 1)

    def width(pair: tuple[int, int]) -> tuple[bool, float]:
        """Return whether a side is too small to be a core, and the neck's width relative to the smaller core's."""
        small = min(volume[list(pair)]) < SMALLEST_CORE_ML
        return small, saddles[pair][0] / max(min(peak[list(pair)]), 1e-6)

    while saddles:
        keep, gone = widest = max(saddles, key=width)
        small, share = width(widest)
        if not small and share >= NARROW or small:
            part[part == gone] = keep
            volume[keep] += volume[gone]
            peak[keep] = max(peak[keep], peak[gone])
            saddles = _renamed(saddles, gone, keep)
        else:
            break
    cell = min(saddles, key=width) if saddles else None
    numbers = np.concatenate(([0], 1 + np.unique(part[1:], return_inverse=True)[1]))
    return numbers, saddles[cell][1] if cell else (0, 0, 0)


def _saddles(basins: np.ndarray, depth: np.ndarray) -> dict[tuple[int, int], tuple[float, tuple[int, int, int]]]:
    """Return {two neighboring basins: (depth, cell) of the deepest path from one to the other}."""
    count, flat = int(basins.max()) + 1, np.arange(basins.size).reshape(basins.shape)
    codes, levels, cells = [], [], []
    for step in HALF_OF_NEIGHBORS:
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, basins.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, basins.shape, strict=True))
        a, b = basins[here], basins[there]
        meet = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[meet], b[meet]).astype(np.int64), np.maximum(a[meet], b[meet])
        codes.append(low * count + high)
        levels.append(np.minimum(depth[here][meet], depth[there][meet]))
        cells.append(flat[here][meet])
    code, level, cell = (np.concatenate(part) for part in (codes, levels, cells))
    order = np.lexsort((cell, -level, code))
    pairs, first = np.unique(code[order], return_index=True)
    return {
        (int(pair) // count, int(pair) % count): (
            float(level[order[n]]),
            tuple(int(v) for v in np.unravel_index(cell[order[n]], basins.shape)),
        )
        for pair, n in zip(pairs, first, strict=True)
    }


def _renamed(saddles: dict, gone: int, keep: int) -> dict:
    """Return the saddles after basin `gone` was merged into `keep`: of two between the same parts, the deeper one."""
    out: dict = {}
    for pair, saddle in saddles.items():
        a, b = sorted(keep if one == gone else one for one in pair)
        if a != b and ((a, b) not in out or out[a, b][0] < saddle[0]):
            out[a, b] = saddle
    return out


def _laid_back(mask: np.ndarray, parts: np.ndarray, steps: np.ndarray, cell: tuple[int, int, int]) -> Parted:
    """Return the parts of the cells as parts of the mask's voxels, each connected."""
    from scipy.ndimage import distance_transform_edt, label

    nearest = distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    filled = parts[tuple(nearest)]
    fine = filled.repeat(steps[0], 0).repeat(steps[1], 1).repeat(steps[2], 2)
    fine = fine[tuple(slice(int(s), int(s) + n) for s, n in zip(steps, mask.shape, strict=True))]
    cores = np.zeros(mask.shape, dtype=np.int32)
    sizes = [np.count_nonzero(mask & (fine == n)) for n in range(1, int(parts.max()) + 1)]
    for rank, n in enumerate(np.argsort(sizes)[::-1] + 1, start=1):
        pieces, _count = label(mask & (fine == n), structure=CONNECTED)
        cores[pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])] = rank
    nearest = distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    whole = np.where(mask, cores[tuple(nearest)], 0)  # fragments beside a cut go to the nearest part
    place = np.minimum(np.array(cell) * steps + steps // 2 - steps, np.array(mask.shape) - 1)
    inside = np.argwhere(mask)
    neck = inside[np.abs(inside - np.maximum(place, 0)).sum(axis=1).argmin()]
    return Parted(whole, len(sizes), tuple(int(v) for v in neck))
