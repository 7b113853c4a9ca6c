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


class Components(NamedTuple):
    """The 26-connected parts of a mask. box: holds them all. parts: int (d, h, w) on it, 1 to `count`, 0 outside."""

    box: Box
    parts: np.ndarray
    count: int

    def each(self) -> Iterator[tuple[int, Box, np.ndarray]]:
        """Yield number, box in the mask's own array, and bool mask there of each part."""
        from scipy.ndimage import find_objects

        for number, where in enumerate(find_objects(self.parts, self.count), start=1):
            placed = tuple(slice(s.start + b.start, s.stop + b.start) for s, b in zip(where, self.box, strict=True))
            yield number, placed, self.parts[where] == number

    def sizes(self) -> np.ndarray:
        """(count + 1,) voxels of each part, the background first."""
        return np.bincount(self.parts.ravel(), minlength=self.count + 1)

    def moved(self, corner: tuple[int, int, int]) -> Components:
        """The same in an array of which the present one is a part that begins at `corner`, (k, j, i)."""
        box = tuple(slice(s.start + c, s.stop + c) for s, c in zip(self.box, corner, strict=True))
        return self._replace(box=box)


def components_of(mask: np.ndarray) -> Components | None:
    """Return the parts of a bool mask (D, H, W), None where it is empty."""
    from scipy.ndimage import label

    box = bounding_box(mask)
    return None if box is None else Components(box, *label(mask[box], structure=CONNECTED))
