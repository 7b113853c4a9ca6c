"""The images of a case on the network's grid, and the features that the network computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case, liver_box
from REACTKDLib.core.images.grid import Box, Grid
from REACTKDLib.core.masks.placement import box_on
from REACTKDLib.core.memo import Memo

if TYPE_CHECKING:
    from REACTKDLib.core.grading.runner import StudentRunner
    from REACTKDLib.core.student.network import FeatureMaps

# The liver mask may grow by this margin before the images must be encoded again; a larger one costs time and memory.
MARGIN_MM = 8.0


@dataclass(eq=False)
class EncodedField:
    """Images prepared on a grid, encoded by `runner`, and fused for the modalities `fused_for`.

    box: the part of the grid where the network's maps are kept. shells, memos: caches for lesions that the next edit
    does not change; see `Student.pool`.
    """

    images: dict[str, np.ndarray]
    grid: Grid
    box: Box
    findings: tuple[Finding, ...]
    runner: StudentRunner | None = None
    features: FeatureMaps | None = None
    fused_for: tuple[str, ...] = ()
    fused: list | None = None
    shells: Memo = field(default_factory=Memo)
    memos: dict[str, Memo] = field(default_factory=dict)

    def covers(self, case: Case, grid: Grid) -> bool:
        """True if this field fits a case whose images are to be resampled to `grid`."""
        needed = organ_box(case, grid)
        inside = all(mine.start <= b.start and b.stop <= mine.stop for b, mine in zip(needed, self.box, strict=True))
        return inside and self.grid.same_as(grid)


def organ_box(case: Case, grid: Grid, margin_mm: float = 0.0) -> Box:
    """Return the part of the network's grid that contains the (non-empty) liver mask and a margin around it."""
    return box_on(grid, case.reference.ijk_to_ras, liver_box(case), margin_mm)
