"""Perturbed masks, as another annotator might have drawn them: borders moved, lesions merged, a lesion missed.

The student's graph is built from such masks and the teacher's from the expert's. Their node sets then differ, which is
the setting that Gromov-Wasserstein is for (docs/explanation/method.md, Gromov-Wasserstein).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
from pydantic import Field

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.masks.depth import signed_depth
from REACTKDLib.core.masks.regions import Box
from REACTKDTrainLib.settings import Probability, settings

Masks = tuple[np.ndarray, np.ndarray]  # of liver and tumor
Placed = tuple[Box, np.ndarray]  # a box, and a bool mask in it
Millimeters = Annotated[float, Field(ge=0, le=30)]
_SMOOTH_MM = 6.0  # sd of the Gaussian that smooths the random displacement of a border


@settings
class MaskPerturbation:
    """Magnitude of the mask perturbation.

    border_mm: a lesion's border moves by a constant, uniform in +-border_mm, plus a smooth random field. wander_mm:
    standard deviation of that field. liver_mm: range of the constant for the liver. merge_mm: lesions closer than this
    may be merged. merge: probability that they are. drop: probability that one lesion is missed, never the largest.

    Raises: BadSetting that names the field.
    """

    border_mm: Millimeters = 3.0
    wander_mm: Millimeters = 1.0
    liver_mm: Millimeters = 2.0
    merge_mm: Millimeters = 12.0
    merge: Probability = 0.3
    drop: Probability = 0.3


class Outlines:
    """An expert's masks, measured once and perturbed many times.

    Args:
        liver, tumor: bool (D, H, W).
        spacing_kji: (3,) mm along these axes.
        how: magnitude of the perturbation.

    Example:
        >>> outlines = Outlines(case.liver, case.tumor, spacing_kji, MaskPerturbation())
        >>> liver, tumor = outlines.drawn(np.random.default_rng(0))
    """

    def __init__(self, liver: np.ndarray, tumor: np.ndarray, spacing_kji: np.ndarray, how: MaskPerturbation):
        from scipy.ndimage import find_objects, label

        self.spacing, self.how = np.asarray(spacing_kji, dtype=float), how
        self.liver = liver | tumor
        self.liver_box = bounding_box(self.liver)
        self.lesions: list[_Lesion] = []
        box = bounding_box(tumor)
        if box is not None:
            self.box = _padded(box, (how.border_mm + 3 * how.wander_mm + how.merge_mm / 2) / self.spacing, tumor.shape)
            parts, count = label(tumor[self.box], structure=CONNECTED)
            boxes = find_objects(parts)
            for n in np.argsort(-np.bincount(parts.ravel(), minlength=count + 1)[1:], kind="stable"):
                own = _padded(boxes[n], (how.border_mm + 3 * how.wander_mm) / self.spacing, parts.shape)
                part = parts[own] == n + 1
                self.lesions.append(_Lesion(own, part, signed_depth(part, self.spacing)))

    def drawn(self, rng: np.random.Generator) -> Masks:
        """Return perturbed masks, with an annotator's errors.

        Returns:
            (liver, tumor), bool (D, H, W), with every lesion inside the liver. The largest lesion is never missed, and
            no remaining lesion is empty.
        """
        how = self.how
        liver = _moved_liver(self.liver, self.liver_box, self.spacing, rng.uniform(-how.liver_mm, how.liver_mm))
        out = np.zeros_like(self.liver)
        if self.lesions:
            lesions = list(self.lesions)
            if len(lesions) > 1 and rng.random() < how.drop:
                del lesions[rng.integers(1, len(lesions))]
            drawn = [lesion.moved(self.spacing, rng, how) for lesion in lesions]
            tumor, own = out[self.box], liver[self.box]
            if rng.random() < how.merge:
                drawn += _bridges(drawn, self.spacing, how.merge_mm, tumor.shape)
            for box, mask in drawn:
                tumor[box] |= mask
            own |= tumor
        return liver, out


def _padded(box: Box, reach: np.ndarray, shape: tuple[int, ...]) -> Box:
    pad = np.ceil(reach).astype(int) + 1
    return tuple(slice(max(s.start - p, 0), min(s.stop + p, n)) for s, p, n in zip(box, pad, shape, strict=True))


@dataclass(frozen=True, eq=False)
class _Lesion:
    """box: bounding box, with a margin for moving the border. mask: bool (d, h, w) in it. depth: see `signed_depth`."""

    box: Box
    mask: np.ndarray
    depth: np.ndarray

    def moved(self, spacing: np.ndarray, rng: np.random.Generator, how: MaskPerturbation) -> Placed:
        """Move the border by a constant and a smooth random field; a lesion that would vanish is unchanged."""
        from scipy.ndimage import gaussian_filter

        shift = rng.uniform(-how.border_mm, how.border_mm)
        # one draw, whatever the size of the box, so that the size of a lesion does not change the draws of the others
        seed = rng.integers(2**32)
        field = gaussian_filter(np.random.default_rng(seed).standard_normal(self.mask.shape), _SMOOTH_MM / spacing)
        field *= how.wander_mm / max(float(field.std()), 1e-9)
        moved = _largest_piece(self.depth > shift + field)
        return self.box, moved if moved.any() else self.mask


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """Keep the largest piece: an annotator draws one outline, so pieces that the random border cuts off are dropped."""
    from scipy.ndimage import label

    parts, count = label(mask, structure=CONNECTED)
    return mask if count < 2 else parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def _moved_liver(mask: np.ndarray, box: Box | None, spacing: np.ndarray, shift_mm: float) -> np.ndarray:
    """Dilate (positive) or erode a large mask by whole voxels along each axis; if it would vanish, it is unchanged.

    box: the bounding box of the mask. Returns a new array.
    """
    steps = np.rint(abs(shift_mm) / spacing).astype(int)
    if box is None or not steps.any():
        return mask.copy()
    box = _padded(box, steps, mask.shape)
    moved = mask[box]
    for axis, reach in enumerate(steps):
        moved = _spread(moved, int(reach), axis) if shift_mm > 0 else ~_spread(~moved, int(reach), axis)
    if not moved.any():
        return mask.copy()
    out = np.zeros_like(mask)
    out[box] = moved
    return out


def _spread(mask: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """Dilate by `reach` voxels along an axis, in a few whole-array steps: nine times as fast as a running maximum."""
    out = mask.copy()
    here, there = np.moveaxis(out, axis, 0), np.moveaxis(mask, axis, 0)
    for step in range(1, min(reach, mask.shape[axis] - 1) + 1):
        here[step:] |= there[:-step]
        here[:-step] |= there[step:]
    return out


def _bridges(lesions: list[Placed], spacing: np.ndarray, gap_mm: float, shape: tuple[int, ...]) -> list[Placed]:
    """Return the space between lesions at most `gap_mm` apart, which one outline drawn around both would contain.

    shape: (D, H, W) of the array in which the lesions' boxes and the returned boxes lie.
    """
    from scipy.ndimage import distance_transform_edt

    boxes = [_within(box, bounding_box(mask)) for box, mask in lesions]
    wider = max(2.0, float(spacing.max()))
    found = []
    for n, m in combinations(range(len(lesions)), 2):
        ends = list(zip(boxes[n], boxes[m], strict=True))
        between = [max(a.start - b.stop, b.start - a.stop, -1) + 1 for a, b in ends]  # whole voxels along each axis
        if float(np.linalg.norm(between * spacing)) > gap_mm:
            continue
        # a bridge is near both lesions, so the relevant part of each lies within the same distance
        reach = (gap_mm + wider) / spacing
        near = _common(_padded(boxes[n], reach, shape), _padded(boxes[m], reach, shape))
        around = _padded(near, reach, shape)
        parts = [_laid_out(lesions[k], around) for k in (n, m)]
        if not all(part.any() for part in parts):
            continue
        own = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(near, around, strict=True))
        first, second = (distance_transform_edt(~part, sampling=spacing)[own] for part in parts)
        gap = float(first[parts[1][own]].min(initial=np.inf))
        if gap <= gap_mm:
            found.append((near, first + second <= gap + wider))
    return found


def _within(box: Box, inner: Box) -> Box:
    """Return in outer coordinates a box that is given within another."""
    return tuple(slice(b.start + i.start, b.start + i.stop) for b, i in zip(box, inner, strict=True))


def _common(a: Box, b: Box) -> Box:
    return tuple(slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b, strict=True))


def _laid_out(placed: Placed, around: Box) -> np.ndarray:
    """Return a placed mask in another box, cropped to it."""
    box, mask = placed
    out = np.zeros([s.stop - s.start for s in around], dtype=bool)
    both = _common(box, around)
    here, there = (
        tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(both, b, strict=True)) for b in (around, box)
    )
    out[here] = mask[there]
    return out
