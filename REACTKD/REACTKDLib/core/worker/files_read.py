"""A case read from its files for display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.cases.open_job import JobFiles
from REACTKDLib.core.files.segments import Segment, Segmentation
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.stated_places import same_place
from REACTKDLib.core.images.volume import Unit, Volume
from REACTKDLib.core.modality import Modality

LIVER_WINDOW = (-60.0, 200.0)  # HU, portal-venous
_BRIGHT_PERCENT = 99.5


@dataclass(frozen=True, eq=False)
class ImageRead:
    """array: (D, H, W). window: lowest and highest value to show. findings: of its file.

    Findings on the segmentation's file are with the reference image.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    unit: Unit
    window: tuple[float, float]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class LayerRead:
    """Label values of one layer of the segmentation, cut to the voxels in use; an empty layer is left out.

    corner: (k, j, i) of the first voxel on the segmentation's grid.
    """

    array: np.ndarray
    corner: tuple[int, int, int]
    number: int


@dataclass(frozen=True, eq=False)
class FilesRead:
    """The result of `core.cases.open_job.read_job`. segments: in the file's order; livers, tumors: indices into them.

    grid: of the segmentation, or exactly that of the reference image if they differ by rounding only; None without one.

    problem: why there are no masks, or which roles are unknown, one sentence.
    """

    images: Mapping[Modality, ImageRead]
    grid: Grid | None
    layers: tuple[LayerRead, ...]
    segments: tuple[Segment, ...]
    livers: tuple[int, ...]
    tumors: tuple[int, ...]
    findings: tuple[Finding, ...]
    problem: str

    @classmethod
    def of(cls, read: JobFiles) -> FilesRead:
        """Return the content of a job's files for display."""
        images, masks = {}, read.segmentation
        for modality, volume in read.volumes.items():
            window = LIVER_WINDOW if modality is Modality.CT else _bright(volume)
            more = () if images or masks is None else masks.findings
            findings = (*volume.findings, *more)
            images[modality] = ImageRead(volume.array, volume.ijk_to_ras, volume.unit, window, findings)
        layers, segments, grid = (), (), None
        if masks is not None:
            layers, segments = _layers(masks), masks.segments
            grid = _grid_of(masks, next(read.volumes[m] for m in Modality if m in read.volumes))
        return cls(images, grid, layers, segments, read.livers, read.tumors, read.findings, read.problem)


def _layers(segmentation: Segmentation) -> tuple[LayerRead, ...]:
    layers = []
    for number, layer in enumerate(segmentation.layers):
        box = bounding_box(layer != 0)
        if box is not None:
            dtype = np.uint8 if int(layer[box].max()) < 256 else np.int32
            corner = tuple(int(part.start) for part in box)
            layers.append(LayerRead(layer[box].astype(dtype, copy=False), corner, number))
    return tuple(layers)


def _grid_of(segmentation: Segmentation, reference: Volume) -> Grid:
    image = Grid(reference.shape, reference.ijk_to_ras)
    return image if same_place(segmentation.grid, image) else segmentation.grid  # so that painting needs no resampling


def _bright(volume: Volume) -> tuple[float, float]:
    """Return the window from 0 to a value that few voxels exceed: a PET's brightest voxel is often the bladder."""
    values = volume.array.ravel()
    top = float(np.percentile(values[:: max(1, values.size // 1_000_000)], _BRIGHT_PERCENT))
    return 0.0, top if top > 0 else 1.0
