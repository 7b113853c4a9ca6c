"""Lesions too small to be graded, and more lesions than can be: what a slip of the brush or an unfit mask leaves.

A stray voxel would count as a lesion like any other and move the grade by several points; hundreds of them would fill
the memory and the report.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import TooManyLesions
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.images.neighbors import CONNECTED
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _

SMALLEST_LESION_ML = 0.05  # more than two voxels of the network's grid of 2.5 mm
MOST_LESIONS = 200


def small_lesions(tumor: np.ndarray, voxel_ml: float) -> list[tuple[Box, np.ndarray]]:
    """Return the lesions (26-connected) under 0.05 ml of a bool mask (D, H, W), each as its box and its mask there."""
    from scipy.ndimage import find_objects, label

    box = bounding_box(tumor)
    if box is None:
        return []
    parts, count = label(tumor[box], structure=CONNECTED)
    small = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml < SMALLEST_LESION_ML - 1e-9
    if not small[1:].any():
        return []
    found = []
    for number, where in enumerate(find_objects(parts, count), start=1):
        if small[number]:
            placed = tuple(slice(s.start + b.start, s.stop + b.start) for s, b in zip(where, box, strict=True))
            found.append((placed, parts[where] == number))
    return found


def touches(box: Box, mask: np.ndarray) -> bool:
    """True when a mask (D, H, W) has a voxel in a box or beside it."""
    return bool(mask[tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)].any())


def check_number(tumor: np.ndarray, task: Task = HCC_GRADE) -> None:
    """Raise TooManyLesions for a mask of more than 200 lesions."""
    from scipy.ndimage import label

    box = bounding_box(tumor)
    count = 0 if box is None else label(tumor[box], structure=CONNECTED)[1]
    if count > MOST_LESIONS:
        raise TooManyLesions(
            _(
                "The {lesion} mask has {count} separate lesions where at most {most} are graded; remove "
                "its small islands (Segment Editor, Islands), or choose the segment that holds the "
                "{lesion}."
            ),
            lesion=task.lesion.name,
            count=count,
            most=MOST_LESIONS,
        )
