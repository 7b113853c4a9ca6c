"""The connected parts of a mask, searched once for all who ask: in a full-size CT that takes as long as a click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.neighbors import CONNECTED

#: where `Case.derived` keeps the lesions of a clean tumor mask until its regions are known
LESIONS = "lesions"
#: a part of a mask: its box, and its bool mask there
Part = tuple[Box, np.ndarray]
_SMALL_VOXELS = 50_000  # a box that takes no time to search as it is


class Components(NamedTuple):
    """The 26-connected parts of a mask. box: holds them all. found: each one's box and bool mask there, in the order
    of first voxels. Boxes are parts of the mask's own array.
    """

    box: Box
    found: tuple[Part, ...]

    @classmethod
    def of_labels(cls, box: Box, labels: np.ndarray) -> Components:
        """Return what an array (d, h, w) of `box` says, 1 and up for each part and 0 outside."""
        from scipy.ndimage import find_objects

        masks = ((where, labels[where] == n) for n, where in enumerate(find_objects(labels), start=1) if where)
        return cls(box, tuple((_shifted(where, box), mask) for where, mask in masks))

    @property
    def sizes(self) -> list[int]:
        """Voxels of each part."""
        return [voxels_of(part) for part in self.found]

    @property
    def largest_first(self) -> list[Part]:
        """The parts by their size; of those that are alike the one whose first voxel comes first."""
        sizes = self.sizes
        return [self.found[n] for n in sorted(range(len(sizes)), key=lambda n: -sizes[n])]

    def labels(self) -> np.ndarray:
        """(d, h, w) int32 of `box`: 1 and up for each part in turn, 0 outside."""
        out = np.zeros([along.stop - along.start for along in self.box], dtype=np.int32)
        for number, (where, mask) in enumerate(self.found, start=1):
            own = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(where, self.box, strict=True))
            np.copyto(out[own], number, where=mask)
        return out

    def moved(self, corner: tuple[int, int, int]) -> Components:
        """The same in an array of which the present one is a part that begins at `corner`, (k, j, i)."""
        to = tuple(slice(start, None) for start in corner)
        return Components(_shifted(self.box, to), tuple((_shifted(where, to), mask) for where, mask in self.found))


def components_of(mask: np.ndarray) -> Components | None:
    """Return the parts of a bool mask (D, H, W), None where it is empty.

    Lesions far apart are searched apart: the box of all of them is mostly empty.
    """
    from scipy.ndimage import label

    box = bounding_box(mask)
    if box is None:
        return None
    found: list[Part] = []
    for island in _islands(mask[box]):
        place = _shifted(island, box)
        found += Components.of_labels(place, label(mask[place], structure=CONNECTED)[0]).found
    return Components(box, tuple(sorted(found, key=_first_voxel)))


def holes_of(mask: np.ndarray) -> tuple[Part, ...]:
    """Return what a bool mask (D, H, W) encloses (6-connected)."""
    from scipy.ndimage import label

    outside, count = label(np.pad(~mask, 1, constant_values=True))  # the rim joins everything that is open
    if count <= 1:
        return ()
    outside[outside == outside[0, 0, 0]] = 0
    whole = tuple(slice(0, n) for n in mask.shape)
    return Components.of_labels(whole, outside[1:-1, 1:-1, 1:-1]).found


def voxels_of(part: Part) -> int:
    """Return how many voxels a part has."""
    return int(np.count_nonzero(part[1]))


def center_of_part(part: Part) -> np.ndarray:
    """Return the mean index (k, j, i) of a part's voxels."""
    box, mask = part
    return np.argwhere(mask).mean(axis=0) + [along.start for along in box]


def _islands(mask: np.ndarray) -> Iterator[Box]:
    """Yield boxes that hold all of a mask and part no component: cut where a plane is empty, again and again."""
    waiting: list[Box] = [tuple(slice(0, n) for n in mask.shape)]
    while waiting:
        box = waiting.pop()
        if mask[box].size > _SMALL_VOXELS:
            parts = _cut(mask[box])
            if len(parts) > 1:
                waiting += [_shifted(part, box) for part in parts]
                continue
        yield box


def _cut(mask: np.ndarray) -> list[Box]:
    """Return the parts of a mask between the planes of one axis that are empty; one part where no axis has such."""
    whole = tuple(slice(0, n) for n in mask.shape)
    plane = mask.any(axis=0)
    for axis, filled in enumerate((mask.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0))):
        edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
        if len(edges) > 2:
            runs = (slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2))
            return [(*whole[:axis], run, *whole[axis + 1 :]) for run in runs]
    return [whole]


def _first_voxel(part: Part) -> tuple[int, int, int]:
    box, mask = part
    j, i = np.unravel_index(np.argmax(mask[0]), mask.shape[1:])
    return box[0].start, box[1].start + int(j), box[2].start + int(i)


def _shifted(box: Box, by: Box) -> Box:
    """Return a box given inside another in the array of that one."""
    return tuple(slice(s.start + b.start, s.stop + b.start) for s, b in zip(box, by, strict=True))
