"""Touching lesions: kept separate if each was drawn as its own segment, otherwise one lesion.

A mask alone does not show whether connected voxels are one lesion or two. Separate segments named as lesions ("Tumor 1"
and "Tumor 2", see `files.recognition.one_lesion_each`) do, so they remain two regions even if they touch. Segments
without such a name, such as a necrosis, belong to the lesion that they touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from REACTKDLib.core.errors import MaskOffImage, NoLiver
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.neighbors import CONNECTED, HALF_OF_NEIGHBORS
from REACTKDLib.core.masks.components import Components
from REACTKDLib.core.masks.small_lesions import SMALLEST_LESION_ML
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

SAME_SHARE = 0.5  # of the smaller of two overlapping segments: with more overlap they are one lesion


class DrawnMasks(NamedTuple):
    """Masks of a case as drawn. liver, tumor: bool (D, H, W). lesions: see `Case`. findings: from reading the
    segments, with codes of `masks.drawn_segments.READING_FINDINGS`.
    """

    liver: np.ndarray
    tumor: np.ndarray
    lesions: np.ndarray | None = None
    findings: tuple[Finding, ...] = ()


def empty_organ(task: Task) -> NoLiver:
    """Return the error for an empty organ mask."""
    text = _("The {organ} mask is empty; draw the {organ}, or choose the segment that holds it.")
    return NoLiver(text, organ=task.organ.name)


def missing_organ(drawn: bool, task: Task) -> NoLiver | MaskOffImage:
    """Return the error for an organ without voxels in its image. drawn: its segment has voxels, but elsewhere."""
    if not drawn:
        text = _("The {organ} segment is empty; draw the {organ}, or choose the segment that holds it.")
        return NoLiver(text, organ=task.organ.name)
    text = _(
        "The {organ} mask does not overlap the image; check that both belong to the same patient and scan, and that "
        "both are under the transform they belong to."
    )
    return MaskOffImage(text, organ=task.organ.name)


def lesion_map(drawn: Iterable[tuple[Box, np.ndarray]], shape: tuple[int, int, int]) -> np.ndarray | None:
    """Return the lesion segment in which each voxel was drawn: uint16 (D, H, W) of `shape`, from 1, 0 for none.

    drawn: for each segment named as a lesion, its box in the grid and its bool mask there; where two overlap, the first
    keeps the voxels. Returns None if fewer than two contain a voxel, since there is nothing to separate. Two segments
    are one lesion, drawn twice or in parts, if one overlaps the other by more than half.
    """
    drawn = [(box, mask) for box, mask in drawn if mask.any()]
    if len(drawn) < 2:
        return None
    numbers = list(range(1, len(drawn) + 1))
    for n, first in enumerate(drawn):
        for m, second in enumerate(drawn[:n]):
            smaller = min(np.count_nonzero(first[1]), np.count_nonzero(second[1]))
            if _shared(first, second) > SAME_SHARE * smaller:
                old, new = numbers[n], numbers[m]
                numbers = [new if number == old else number for number in numbers]
    if len(set(numbers)) < 2:
        return None
    out = np.zeros(shape, dtype=np.uint16)
    for number, (box, mask) in zip(numbers, drawn, strict=True):
        part = out[box]
        part[mask & (part == 0)] = number
    return out


def _shared(a: tuple[Box, np.ndarray], b: tuple[Box, np.ndarray]) -> int:
    """Return the number of voxels that two placed masks have in common."""
    low = [max(x.start, y.start) for x, y in zip(a[0], b[0], strict=True)]
    high = [min(x.stop, y.stop) for x, y in zip(a[0], b[0], strict=True)]
    if any(start >= stop for start, stop in zip(low, high, strict=True)):
        return 0
    parts = (
        mask[tuple(slice(s - p.start, e - p.start) for s, e, p in zip(low, high, box, strict=True))]
        for box, mask in (a, b)
    )
    return int(np.count_nonzero(next(parts) & next(parts)))


def separate(whole: Components, lesions: np.ndarray | None, voxel_ml: float) -> Components:
    """Return the lesions of a tumor mask. whole: its 26-connected components. lesions: (d, h, w) on their box.

    Without `lesions`, or if they separate nothing, these are the components. Otherwise a component is divided where two
    lesions of `lesions` meet. A resulting piece under 0.05 ml is merged with its largest neighbor.
    """
    from scipy.ndimage import label

    if lesions is None:
        return whole
    tumor = whole.labels() > 0
    numbers = np.unique(lesions[tumor])
    if np.count_nonzero(numbers) < 2:
        return whole
    pieces, owner = np.zeros(tumor.shape, dtype=np.int32), [0]
    for number in numbers:
        parts, found = label(tumor & (lesions == number), structure=CONNECTED)
        np.copyto(pieces, parts + (len(owner) - 1), where=parts > 0)
        owner += [int(number)] * found
    groups = _joined(pieces, owner, voxel_ml)
    if groups.max() == len(whole.found):
        return whole
    return Components.of_labels(whole.box, groups[pieces])


def _joined(pieces: np.ndarray, owner: list[int], voxel_ml: float) -> np.ndarray:
    """Return the number, 1 to n, of the lesion to which each piece belongs; 0 for the background."""
    pairs = _touching(pieces)
    sizes = np.bincount(pieces.ravel(), minlength=len(owner))
    root = np.arange(len(owner))
    for a, b in pairs:
        if owner[a] == 0 or owner[b] == 0:
            root[root == root[a]] = root[b]
    while True:
        volume = np.bincount(root, weights=sizes, minlength=len(owner)) * voxel_ml
        small = [
            (volume[root[a]], a, b)
            for a, b in (*pairs, *((b, a) for a, b in pairs))
            if root[a] != root[b] and volume[root[a]] < SMALLEST_LESION_ML - 1e-9
        ]
        if not small:
            break
        _size, piece, _neighbor = min(small)
        neighbors = [b for _size, a, b in small if root[a] == root[piece]]
        largest = max(neighbors, key=lambda b: (volume[root[b]], -b))
        root[root == root[piece]] = root[largest]
    return np.concatenate(([0], 1 + np.unique(root[1:], return_inverse=True)[1]))


def _touching(pieces: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of pieces that are neighbors (26-connected), each once, the smaller number first."""
    found: set[tuple[int, int]] = set()
    for step in HALF_OF_NEIGHBORS:
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, pieces.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, pieces.shape, strict=True))
        a, b = pieces[here], pieces[there]
        apart = (a != b) & (a > 0) & (b > 0)
        if apart.any():
            pairs = np.unique(np.sort(np.stack((a[apart], b[apart]), axis=1), axis=1), axis=0)
            found.update(map(tuple, pairs.tolist()))
    return sorted(found)
