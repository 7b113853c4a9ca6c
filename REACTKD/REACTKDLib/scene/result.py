"""The interface of a graded case that the scene layer displays."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.worker.answers import Drawing, Surfaces
from REACTKDLib.core.worker.arrays import laid_out


class GradeResult(Protocol):
    """A report, its regions, and the voxel map (0 to 1) on the reference grid."""

    report: GradeReport
    regions: RegionSet
    voxel_map: Volume


@dataclass(eq=False)
class DrawnResult:
    """A result from a worker. Has the attributes of `GradeResult`.

    label_images: see `scene.region_segmentation`. surfaces: by the region's label, after `surface_steps`. voxel_map:
    None until `voxel_map_steps` has finished.
    """

    report: GradeReport
    regions: RegionSet
    label_images: tuple[Any, Any]
    surfaces: Mapping[int, Surface] = field(default_factory=dict)
    voxel_map: Volume | None = None

    def surface_steps(self, drawn: Generator[None, None, Surfaces]) -> Iterator[None]:
        """Wait for the worker's surfaces. drawn: waits in steps, and returns them."""
        self.surfaces = (yield from drawn).surfaces

    def voxel_map_steps(self, drawn: Generator[None, None, Drawing]) -> Iterator[None]:
        """Wait for the worker's map, and expand it in steps of about a hundredth of a second, since allocating new
        memory takes time. drawn: waits in steps, and returns the map.
        """
        drawing = yield from drawn
        array = yield from laid_out(drawing.voxel_map, drawing.box, self.regions.labels.shape, np.float32)
        self.voxel_map = Volume(array, self.regions.ijk_to_ras, name="voxel map", checked=True)


def rows_with_regions(result: GradeResult) -> Iterator[tuple[ReportRegion, Region]]:
    """Yield each report row that has voxels, with its region: row i is label i + 1."""
    by_label = {region.label: region for region in result.regions.regions}
    for label, row in enumerate(result.report.regions, start=1):
        if row.kind != "topology" and label in by_label:
            yield row, by_label[label]
