"""What the scene layer shows of a graded case, and what it asks of whoever graded it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.worker.answers import Drawing
from REACTKDLib.core.worker.arrays import laid_out


class GradeResult(Protocol):
    """A report, the regions it is about, and the voxel map (0 to 1) on the reference grid."""

    report: GradeReport
    regions: RegionSet
    voxel_map: Volume


@dataclass(frozen=True, eq=False)
class DrawnResult:
    """A grade that a worker has drawn. Has the attributes of `GradeResult`.

    drawing: its voxel map inside a box of the reference grid, and the surfaces of its regions.
    """

    report: GradeReport
    regions: RegionSet
    drawing: Drawing

    @property
    def surfaces(self) -> Mapping[int, Surface]:
        """By the region's label."""
        return self.drawing.surfaces

    @cached_property
    def voxel_map(self) -> Volume:
        """The whole map on the reference grid."""
        for _ in self.voxel_map_steps():
            pass
        return self.__dict__["voxel_map"]

    def voxel_map_steps(self) -> Iterator[None]:
        """Make `voxel_map` in steps of about a hundredth of a second: new memory is what takes the time."""
        shape = self.regions.labels.shape
        array = yield from laid_out(self.drawing.voxel_map, self.drawing.box, shape, np.float32)
        self.__dict__["voxel_map"] = Volume(array, self.regions.ijk_to_ras, name="voxel map", checked=True)


def rows_with_regions(result: GradeResult) -> Iterator[tuple[ReportRegion, Region]]:
    """Yield each report row that has voxels, with its region: row i is label i + 1."""
    by_label = {region.label: region for region in result.regions.regions}
    for label, row in enumerate(result.report.regions, start=1):
        if row.kind != "topology" and label in by_label:
            yield row, by_label[label]
