"""The worker's replies: the reply to each kind of job, and how it is read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Box
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.worker import jobs
from REACTKDLib.core.worker.arrays import laid_out
from REACTKDLib.core.worker.files_read import FilesRead
from REACTKDLib.core.worker.mending import Edit
from REACTKDLib.core.worker.wire import read_message

if TYPE_CHECKING:
    from REACTKDLib.core.grading.grade_result import GradeResult


@dataclass(frozen=True, eq=False)
class GradeAnswer:
    """The result of a grading.

    report: with every finding, including those on masks and images. encoder_calls: images encoded for it.

    key: of the open case. read_anew: False if the images were already encoded. labels: of the regions, in `box` of the
    reference grid, which has `shape` and `ijk_to_ras`. nodes: of `regions`.
    """

    key: str
    report: GradeReport
    encoder_calls: int
    read_anew: bool
    labels: np.ndarray
    box: Box
    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray
    nodes: tuple[Region, ...]

    @classmethod
    def of(cls, result: GradeResult, key: str, calls: int, read_anew: bool) -> GradeAnswer:
        """Return the reply for a result."""
        regions = result.regions
        place = regions.box, regions.labels.shape, regions.ijk_to_ras
        return cls(key, result.report, calls, read_anew, regions.labels[regions.box], *place, regions.regions)

    @cached_property
    def regions(self) -> RegionSet:
        """The regions of the report, on the reference grid."""
        for _ in self.regions_steps():
            pass
        return self.__dict__["regions"]

    def regions_steps(self) -> Iterator[None]:
        """Build `regions` in steps of about a hundredth of a second, so that the caller's window stays responsive."""
        labels = yield from laid_out(self.labels, self.box, self.shape, self.labels.dtype)
        self.__dict__["regions"] = RegionSet(labels, self.ijk_to_ras, self.nodes)


@dataclass(frozen=True, eq=False)
class Drawing:
    """The voxel map of a grade. voxel_map: float32 (d, h, w), 0 to 1, of `box` on the reference grid, 0 outside it.

    scale: the value of 1, logits per ml.
    """

    key: str
    box: Box
    voxel_map: np.ndarray
    scale: float

    @classmethod
    def of(cls, result: GradeResult, key: str) -> Drawing:
        """Draw the voxel map of a result."""
        box = result.regions.box
        return cls(key, box, np.asarray(result.voxel_map.array[box], dtype=np.float32), result.voxel_map_scale)


@dataclass(frozen=True, eq=False)
class Surfaces:
    """The surfaces of the regions of a grade. surfaces: by the region's label."""

    key: str
    surfaces: Mapping[int, Surface]

    @classmethod
    def of(
        cls, result: GradeResult, key: str, check: Callable[[], None], drawn: dict[int, Surface] | None = None
    ) -> Surfaces:
        """Draw the regions of a result; `check` is called before each and may raise.

        drawn: surfaces already drawn of this result; the others are added.
        """
        from REACTKDLib.core.masks.surface import surface_of

        surfaces = {} if drawn is None else drawn
        for region in result.regions.regions:
            if region.label not in surfaces:
                check()
                surfaces[region.label] = surface_of(result.regions, region)
        return cls(key, surfaces)


Answer = GradeAnswer | Drawing | Surfaces | FilesRead | tuple[Edit, ...] | tuple[Finding, ...]
#: reply type of each job; others are answered by None
_ANSWERS = {
    **dict.fromkeys((jobs.GradeFiles, jobs.GradeArrays, jobs.Regrade, jobs.WhatIf), GradeAnswer),
    **dict.fromkeys((jobs.MendMasks, jobs.SplitMask), tuple[Edit, ...]),
    jobs.Draw: Drawing,
    jobs.DrawSurfaces: Surfaces,
    jobs.ReadFiles: FilesRead,
    jobs.CheckArrays: tuple[Finding, ...],
}


def answer_from(message: Mapping[str, Any] | None, job: jobs.Job, folder: Path) -> Answer | None:
    """Return the reply to a job from a message. Raises: what `read_message` raises for a broken one."""
    return None if message is None else read_message(_ANSWERS[type(job)], message, folder)
