"""Limits on lesions: those too small to be graded, as from a slip of the brush, and too many, as from an unsuitable
mask.

A stray voxel would count as a lesion like any other and change the probabilities by several points; hundreds would fill
the memory and the report.
"""

from __future__ import annotations

import numpy as np

from REACTKDLib.core.errors import TooManyLesions
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.masks.components import Components
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _

SMALLEST_LESION_ML = 0.05  # more than two voxels of the network's grid of 2.5 mm
MOST_LESIONS = 200


def small_lesions(lesions: Components | None, voxel_ml: float) -> list[tuple[Box, np.ndarray]]:
    """Return the lesions under 0.05 ml, each as its box and its bool mask there. lesions: of the tumor mask."""
    if lesions is None:
        return []
    sized = zip(lesions.found, lesions.sizes, strict=True)
    return [part for part, voxels in sized if voxels * voxel_ml < SMALLEST_LESION_ML - 1e-9]


def touches(box: Box, mask: np.ndarray) -> bool:
    """Return True if a mask (D, H, W) has a voxel in a box or adjacent to it."""
    return bool(mask[tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)].any())


def check_number(lesions: Components | None, task: Task = HCC_GRADE) -> None:
    """Raise TooManyLesions for more than 200 lesions."""
    count = 0 if lesions is None else len(lesions.found)
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
