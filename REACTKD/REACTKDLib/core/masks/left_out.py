"""Findings on the parts of drawn masks that lie outside the image and are therefore not graded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from REACTKDLib.core.errors import MaskOffImage
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Grid, corners_of
from REACTKDLib.core.images.regrid import WHOLE_VOXELS, share_inside
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _

LEFT_OUT = "mask-partly-outside"

#: a bool mask (D, H, W) as drawn, and its ijk_to_ras
Placed = tuple[np.ndarray, np.ndarray]


def left_out(organ: Iterable[Placed], lesions: Iterable[Placed], grid: Grid, task: Task) -> list[Finding]:
    """Return the findings on the parts of an organ and of its lesions that lie outside the image's grid.

    Raises: MaskOffImage if the organ or all lesions lie entirely outside.
    """
    findings = []
    for drawn, structure in ((organ, task.organ), (lesions, task.lesion)):
        share = _share_inside(drawn, grid)
        if share == 0:
            text = _(
                "The {organ} mask does not overlap the image; check that both belong to the same patient and scan."
            )
            raise MaskOffImage(text, organ=structure.name)
        if share < 1:
            text = _("Only {percent} % of the {organ} mask lies inside the image; the rest was left out.")
            percent = f"{min(99.0, 100 * share):.0f}"
            findings.append(Finding(LEFT_OUT, "warning", text, percent=percent, organ=structure.name))
    return findings


def _share_inside(drawn: Iterable[Placed], grid: Grid) -> float:
    """Return the fraction of the voxels of all these masks that lie in the grid; 1 if there are none."""
    inside = whole = 0.0
    for mask, matrix in drawn:
        count = np.count_nonzero(mask)
        whole += count
        inside += count if _lies_in(mask.shape, matrix, grid) else count * share_inside(mask, matrix, grid)
    return inside / whole if whole else 1.0


def _lies_in(shape: tuple[int, ...], matrix: np.ndarray, grid: Grid) -> bool:
    """Return True if the whole array lies in the grid, so that no voxel needs to be checked."""
    if 0 in shape:
        return True
    places = (np.linalg.inv(grid.ijk_to_ras) @ matrix @ corners_of(shape).T)[:3]
    limits = np.array(grid.shape[::-1])[:, None]
    return bool(np.all((places >= -0.5 - WHOLE_VOXELS) & (places <= limits - 0.5 + WHOLE_VOXELS)))
