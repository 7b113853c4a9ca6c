"""One case of HCC-TACE-Seg: one acquisition of a CT series, and its segmentation by segment label."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from REACTKDLib.core.errors import MaskOffImage, NoLiver
from REACTKDLib.core.files.dicom.images import read_series
from REACTKDLib.core.files.dicom.index import Series, Slice
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.segments import Segmentation
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import mask_on_grid
from REACTKDLib.core.masks.checks import checked
from REACTKDLib.core.modality import Modality

LIVER, TUMOR, VESSELS = ("liver",), ("mass", "necrosis"), ("portal vein", "abdominal aorta")
KNOWN = (*LIVER, *TUMOR, *VESSELS)


@dataclass(frozen=True, eq=False)
class TaceFiles:
    """Input of `open_tace`. series: only the slices of one acquisition. phase: why it was chosen."""

    id: str
    series: Series
    slices: tuple[Slice, ...]
    segmentation: str
    phase: str


def open_tace(files: TaceFiles) -> Case:
    """Read CT and masks: the liver is Liver, Mass or Necrosis, the tumor Mass or Necrosis; vessels are background.

    Raises: see `read_series`, `read_dicom_segmentation` and `checked`; NoLiver; MaskOffImage.
    """
    volume, findings = read_series(files.series, files.slices, Modality.CT)
    file = read_dicom_segmentation(files.segmentation)
    grid = Grid(volume.shape, volume.ijk_to_ras)
    liver, tumor = (
        mask_on_grid(file.mask(segments_named(file, names)), file.ijk_to_ras, grid) for names in (LIVER, TUMOR)
    )
    if not segments_named(file, LIVER):
        raise NoLiver(f"Case {files.id} has no segment named Liver; check the segmentation.")
    if not (liver | tumor).any():
        raise MaskOffImage(f"The segmentation of case {files.id} does not overlap its CT; leave the case out.")
    findings = [*findings, Finding("phase", "info", f"Contrast phase: {files.phase}.")]
    return checked(Case(files.id, {Modality.CT: volume}, liver | tumor, tumor, tuple(findings)))


def segments_named(file: Segmentation, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the indices of the segments with one of `names` (lower case), regardless of their numbers."""
    return tuple(n for n, segment in enumerate(file.segments) if label_of(segment.name) in names)


def label_of(name: str) -> str:
    """Return a segment label in lower case with single spaces."""
    return re.sub(r"[\s_]+", " ", name).strip().casefold()


def voxel_ml(matrix: np.ndarray) -> float:
    """Return the volume of a voxel in ml."""
    return abs(float(np.linalg.det(matrix[:3, :3]))) / 1000
