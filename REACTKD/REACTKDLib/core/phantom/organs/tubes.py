"""Many thin tubes on a lattice: a body has five hundred, of some hundred voxels each.

A tube alone takes forty calls of NumPy, which cost more than the work on its voxels. Therefore the voxels of many boxes
are computed as one list. Every depth equals `Tube.depth`, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from REACTKDLib.core.phantom.lattice import Lattice
from REACTKDLib.core.phantom.shapes import Tube, tube_depth

_TOGETHER = 24_000  # voxels of a list, on average: its arrays fit in the processor's cache


def tube_voxels(tubes: Sequence[Tube], lattice: Lattice, pad_mm: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield lists of voxels (n,), as indices into a flat array of the lattice, and their depths, mm, float64.

    The lists contain, tube after tube, all voxels within the tube or `pad_mm` of it, and some others; a voxel near
    several tubes occurs several times.
    """
    if not tubes:
        return
    ends = np.array([(*tube.start, *tube.end, *tube.radius) for tube in tubes])
    reach = ends[:, 6:].max(axis=1, keepdims=True) + pad_mm
    first, stop = lattice.boxes(
        np.minimum(ends[:, :3], ends[:, 3:6]) - reach, np.maximum(ends[:, :3], ends[:, 3:6]) + reach
    )
    shape = (stop - first).clip(0)
    kept = np.flatnonzero(shape.all(axis=1))
    about = np.array([(*tubes[n].start, *tubes[n].axis, tubes[n].squared, *tubes[n].radius) for n in kept.tolist()])
    group = shape[kept].prod(axis=1).cumsum() // _TOGETHER
    for own in np.split(np.arange(len(kept)), np.flatnonzero(np.diff(group)) + 1):
        if own.size:
            yield _voxels(lattice, first[kept[own]], shape[kept[own]], about[own], pad_mm)


def _voxels(lattice: Lattice, first: np.ndarray, shape: np.ndarray, about: np.ndarray, pad_mm: float):
    """Return voxels and depths of a list of boxes. first, shape: (n, 3: z, y, x). about: (n, 9) of the tubes."""
    k, n = _counted(first[:, 0], shape[:, 0])  # first the slices of all boxes, then their rows, then their voxels
    j, slices = _counted(first[n, 1], shape[n, 1])
    k, n = k[slices], n[slices]
    own = about[n].T
    dy, dz = lattice.y[j].astype(np.float64) - own[1], lattice.z[k].astype(np.float64) - own[2]
    # most rows of a box pass its tube: seen along x, they are farther than `pad_mm` from the tube's shadow
    shadow = tube_depth((np.zeros(1), dy, dz), (0.0, *own[4:6]), own[4] ** 2 + own[5] ** 2 + 1e-9, own[[7, 7]])
    shadow += np.maximum(own[7], own[8]) - own[7]
    near = np.flatnonzero(shadow > -pad_mm)
    n, own, dy, dz = n[near], own[:, near], dy[near], dz[near]
    i, row = _counted(first[n, 2], shape[n, 2])
    place = i + ((k[near] * len(lattice.y) + j[near]) * len(lattice.x))[row]
    x, dy, dz, *own = (values[row] for values in (own[0], dy, dz, *own[3:]))
    np.subtract(lattice.x[i].astype(np.float64), x, out=x)
    return place, tube_depth((x, dy, dz), own[:3], own[3], own[4:])


def _counted(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first, first + 1, ... (`count` numbers) for each entry (n,), as one list, and the entry of each."""
    entry = np.arange(len(count)).repeat(count)
    return np.arange(len(entry)) + (first - count.cumsum() + count)[entry], entry


def turns(place: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the entries of a list (n,) in turns: in each no value occurs twice, and equal values keep their order."""
    order = np.argsort(place, kind="stable")
    number = np.arange(len(order))
    starts = np.ones(len(order), dtype=bool)
    np.not_equal(place[order[1:]], place[order[:-1]], out=starts[1:])
    turn = number - np.maximum.accumulate(np.where(starts, number, 0))
    for t in range(turn.max(initial=-1) + 1):
        yield order[turn == t]
