"""Connected components of a mask, computed once and shared, since for a full-size CT this takes noticeable time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.neighbors import CONNECTED

#: key in `Case.derived` of the lesions of a cleaned tumor mask, until its regions are computed
LESIONS = "lesions"
#: a component of a mask: its box, and its bool mask there
Part = tuple[Box, np.ndarray]
_SMALL_VOXELS = 50_000  # a box too small to be worth dividing


class Components(NamedTuple):
    """The 26-connected components of a mask.

    box: contains them all. found: the box and the bool mask of each, in the order of first voxels. The boxes are in the
    indices of the mask's array.
    """

    box: Box
    found: tuple[Part, ...]

    @classmethod
    def of_labels(cls, box: Box, labels: np.ndarray) -> Components:
        """Return the components of a label array (d, h, w) on `box`, with 1 and up for each component and 0 outside."""
        from scipy.ndimage import find_objects

        masks = ((where, labels[where] == n) for n, where in enumerate(find_objects(labels), start=1) if where)
        return cls(box, tuple((_shifted(where, box), mask) for where, mask in masks))

    @property
    def sizes(self) -> list[int]:
        """Number of voxels of each component."""
        return [voxels_of(part) for part in self.found]

    @property
    def largest_first(self) -> list[Part]:
        """The components by decreasing size; equal ones in the order of their first voxels."""
        sizes = self.sizes
        return [self.found[n] for n in sorted(range(len(sizes)), key=lambda n: -sizes[n])]

    def labels(self) -> np.ndarray:
        """Return the label array (d, h, w) int32 on `box`: 1 and up for the components in order, 0 outside."""
        out = np.zeros([along.stop - along.start for along in self.box], dtype=np.int32)
        for number, (where, mask) in enumerate(self.found, start=1):
            own = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(where, self.box, strict=True))
            np.copyto(out[own], number, where=mask)
        return out

    def moved(self, corner: tuple[int, int, int]) -> Components:
        """Return the same components in the indices of a larger array, in which the present one begins at `corner`, (k,
        j, i).
        """
        to = tuple(slice(start, None) for start in corner)
        return Components(_shifted(self.box, to), tuple((_shifted(where, to), mask) for where, mask in self.found))


def components_of(mask: np.ndarray) -> Components | None:
    """Return the components of a bool mask (D, H, W), None if it is empty.

    Lesions that are far apart are searched separately, since the box of all of them is mostly empty.
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
    """Return the holes of a bool mask (D, H, W): what it encloses (6-connected)."""
    from scipy.ndimage import label

    outside, count = label(np.pad(~mask, 1, constant_values=True))  # the padding connects everything outside
    if count <= 1:
        return ()
    outside[outside == outside[0, 0, 0]] = 0
    whole = tuple(slice(0, n) for n in mask.shape)
    return Components.of_labels(whole, outside[1:-1, 1:-1, 1:-1]).found


def voxels_of(part: Part) -> int:
    """Return the number of voxels of a part."""
    return int(np.count_nonzero(part[1]))


def center_of_part(part: Part) -> np.ndarray:
    """Return the mean index (k, j, i) of a part's voxels."""
    box, mask = part
    return np.argwhere(mask).mean(axis=0) + [along.start for along in box]


def _islands(mask: np.ndarray) -> Iterator[Box]:
    """Yield boxes that together contain the mask and do not divide a component, by repeatedly cutting at empty
    planes.
    """
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
    """Return the boxes of a mask between the empty planes of one axis; a single box if no axis has any."""
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
    """Return a box given relative to another box in the indices of that box's array."""
    return tuple(slice(s.start + b.start, s.stop + b.start) for s, b in zip(box, by, strict=True))
