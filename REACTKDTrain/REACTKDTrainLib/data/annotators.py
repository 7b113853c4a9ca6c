"""Masks as another annotator would have drawn them: borders in or out, lesions merged, a lesion missed.

The student's graph is built from such masks and the teacher's from the expert's; then node sets differ, which is the
setting in which Gromov-Wasserstein has work to do (docs/explanation/method.md, Gromov-Wasserstein).
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

import numpy as np
from pydantic import Field

from REACTKDLib.core.images.geometry import bounding_box
from REACTKDTrainLib.settings import Probability, settings

Masks = tuple[np.ndarray, np.ndarray]
Millimeters = Annotated[float, Field(ge=0, le=30)]
_SMOOTH_MM = 6.0  # how far an annotator's wandering from the border keeps its direction


@settings
class MaskPerturbation:
    """How far masks wander.

    border_mm: a lesion's border moves by a constant, uniform in +-border_mm, plus a smooth field of sd wander_mm.
    liver_mm: the same constant for the liver. merge_mm: lesions closer than this become one with probability `merge`.
    drop: probability that one lesion is missed, never the largest.

    Raises: BadSetting that names the field.
    """

    border_mm: Millimeters = 3.0
    wander_mm: Millimeters = 1.0
    liver_mm: Millimeters = 2.0
    merge_mm: Millimeters = 12.0
    merge: Probability = 0.3
    drop: Probability = 0.3


def perturb_masks(
    liver: np.ndarray, tumor: np.ndarray, spacing_kji: np.ndarray, rng: np.random.Generator, how: MaskPerturbation
) -> Masks:
    """Draw the masks anew, with an annotator's errors.

    liver, tumor: bool (D, H, W); spacing_kji: (3,) mm along these axes. Returns (liver, tumor), bool, with every lesion
    inside the liver. The largest lesion never goes, and nothing is left without a voxel.
    """
    from scipy.ndimage import label

    spacing = np.asarray(spacing_kji, dtype=float)
    liver = _moved_liver(liver | tumor, spacing, rng.uniform(-how.liver_mm, how.liver_mm))
    out = np.zeros_like(tumor)
    box = bounding_box(tumor)
    if box is not None:
        box = _padded(box, (how.border_mm + 3 * how.wander_mm + how.merge_mm / 2) / spacing, tumor.shape)
        parts, count = label(tumor[box], structure=np.ones((3, 3, 3), dtype=bool))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        order = np.argsort(-sizes, kind="stable") + 1
        if count > 1 and rng.random() < how.drop:
            order = np.delete(order, rng.integers(1, count))
        drawn = [_moved_lesion(parts == index, spacing, rng, how) for index in order]
        if rng.random() < how.merge:
            drawn += _bridges(drawn, spacing, how.merge_mm)
        out[box] = np.logical_or.reduce(drawn)
    return liver | out, out


def _padded(box, reach, shape):
    pad = np.ceil(reach).astype(int) + 1
    return tuple(slice(max(s.start - p, 0), min(s.stop + p, n)) for s, p, n in zip(box, pad, shape, strict=True))


def _moved_lesion(mask: np.ndarray, spacing: np.ndarray, rng: np.random.Generator, how: MaskPerturbation) -> np.ndarray:
    """Move a lesion's border by a constant and a smooth field; a lesion that would vanish stays as it is."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    shift = rng.uniform(-how.border_mm, how.border_mm)
    seed = rng.integers(2**32)  # drawn whatever the box, so that one lesion's size does not shift the others' numbers
    box = _padded(bounding_box(mask), (how.border_mm + 3 * how.wander_mm) / spacing, mask.shape)
    part = mask[box]
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(part.shape), _SMOOTH_MM / spacing)
    field *= how.wander_mm / max(float(field.std()), 1e-9)
    half = float(spacing.mean()) / 2
    inside = distance_transform_edt(np.pad(part, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    depth = np.where(part, inside - half, half - distance_transform_edt(~part, sampling=spacing))
    moved = _largest_piece(depth > shift + field)
    out = np.zeros_like(mask)
    out[box] = moved if moved.any() else part
    return out


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """A hand draws one outline: what a wandering border cuts off is not another lesion."""
    from scipy.ndimage import label

    parts, count = label(mask, structure=np.ones((3, 3, 3), dtype=bool))
    return mask if count < 2 else parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def _moved_liver(mask: np.ndarray, spacing: np.ndarray, shift_mm: float) -> np.ndarray:
    """Grow (positive) or shrink a large mask by whole voxels along each axis; where it would vanish it stays."""
    steps = np.rint(abs(shift_mm) / spacing).astype(int)
    box = bounding_box(mask)
    if box is None or not steps.any():
        return mask
    box = _padded(box, steps, mask.shape)
    moved = mask[box]
    for axis, reach in enumerate(steps):
        moved = _spread(moved, int(reach), axis) if shift_mm > 0 else ~_spread(~moved, int(reach), axis)
    if not moved.any():
        return mask
    out = np.zeros_like(mask)
    out[box] = moved
    return out


def _spread(mask: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """Every voxel along with those up to `reach` beside it. A few whole-array steps: a ninth of a running maximum's."""
    out = mask.copy()
    here, there = np.moveaxis(out, axis, 0), np.moveaxis(mask, axis, 0)
    for step in range(1, min(reach, mask.shape[axis] - 1) + 1):
        here[step:] |= there[:-step]
        here[:-step] |= there[step:]
    return out


def _bridges(lesions: list[np.ndarray], spacing: np.ndarray, gap_mm: float) -> list[np.ndarray]:
    """What lies between lesions that are at most `gap_mm` apart: one outline drawn around both would hold it."""
    from scipy.ndimage import distance_transform_edt

    boxes = [bounding_box(lesion) for lesion in lesions]
    wider = max(2.0, float(spacing.max()))
    found = []
    for n, m in combinations(range(len(lesions)), 2):
        ends = list(zip(boxes[n], boxes[m], strict=True))
        between = [max(a.start - b.stop, b.start - a.stop, -1) + 1 for a, b in ends]  # whole voxels along each axis
        if float(np.linalg.norm(between * spacing)) > gap_mm:
            continue
        around = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in ends)
        around = _padded(around, (gap_mm + wider) / spacing, lesions[n].shape)
        first, second = (distance_transform_edt(~lesions[k][around], sampling=spacing) for k in (n, m))
        gap = float(first[lesions[m][around]].min())
        if gap <= gap_mm:
            bridge = np.zeros_like(lesions[n])
            bridge[around] = first + second <= gap + wider
            found.append(bridge)
    return found
