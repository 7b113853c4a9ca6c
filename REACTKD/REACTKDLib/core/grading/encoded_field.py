"""One reading of the images of a case on the network's grid, and what the network made of it."""

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

# The liver may be drawn so much larger before the images are encoded again; what is kept costs time and memory.
MARGIN_MM = 8.0


@dataclass(eq=False)
class EncodedField:
    """Images prepared on a grid, encoded by `runner`, fused for the modalities `fused_for`.

    box: the part of the grid where the network's maps are kept. shells, memos: what was worked out of lesions, for
    those that the next edit leaves alone; see `Student.pool`.
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
        """True when this is what a case needs whose images are to be read on `grid`."""
        needed = organ_box(case, grid)
        inside = all(mine.start <= b.start and b.stop <= mine.stop for b, mine in zip(needed, self.box, strict=True))
        return inside and self.grid.same_as(grid)


def organ_box(case: Case, grid: Grid, margin_mm: float = 0.0) -> Box:
    """Return the part of the network's grid that holds the liver, which is not empty, and a margin around it."""
    return box_on(grid, case.reference.ijk_to_ras, liver_box(case), margin_mm)
