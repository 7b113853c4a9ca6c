"""A segment with its name, position, color and codes, and a segmentation of several.

Codes are in Slicer's text form of a terminology entry (`Segment0_Tags` of a `.seg.nrrd`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from REACTKDLib.core.files.recognition import Candidate, Code, Kind
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.task import HCC_GRADE, Task

COLORS = {"liver": (0.87, 0.51, 0.40), "tumor": (0.57, 0.93, 0.57)}
_CATEGORY = {
    "liver": ("SCT", "123037004", "Anatomical Structure"),
    "tumor": ("SCT", "49755003", "Morphologically Altered Structure"),
}
_NOTHING = ("", "", "")


@dataclass(frozen=True)
class Segment:
    """One segment: its name, where it is stored (layer, label value), color 0..1, and terminology codes."""

    name: str
    label: int
    layer: int = 0
    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    terminology: str = ""

    @property
    def candidate(self) -> Candidate:
        """The segment as a candidate for recognition."""
        type_code, region_code = terminology_codes(self.terminology)
        return Candidate(str(self.label), self.name, type_code, region_code)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmentation.

    layers: (L, D, H, W) integers. ijk_to_ras: (4, 4), mm. segments: those of the file, in order, including empty ones.

    findings, other_places: see `files.volumes.RawImage`.
    """

    layers: np.ndarray
    ijk_to_ras: np.ndarray
    segments: tuple[Segment, ...] = field(default_factory=tuple)
    findings: tuple[Finding, ...] = ()
    other_places: tuple[np.ndarray, ...] = ()

    @property
    def grid(self) -> Grid:
        """The grid of every layer."""
        return Grid(tuple(self.layers.shape[1:]), self.ijk_to_ras)

    def mask(self, indices: Sequence[int]) -> np.ndarray:
        """Return the union of the segments as bool (D, H, W)."""
        mask = np.zeros(self.layers.shape[1:], dtype=bool)
        for index in indices:
            segment = self.segments[index]
            mask |= self.layers[segment.layer] == segment.label
        return mask

    def has_voxels(self, index: int) -> bool:
        """Return whether a segment has a voxel; the slices after its first are not read."""
        segment = self.segments[index]
        return any((plane == segment.label).any() for plane in self.layers[segment.layer])


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """A segment with its position.

    mask: bool (D, H, W), cut to any box, (0, 0, 0) if empty. ijk_to_ras: of the mask, mm.

    color: 0..1. terminology: in Slicer's text form.
    """

    name: str
    mask: np.ndarray
    ijk_to_ras: np.ndarray
    color: tuple[float, float, float]
    terminology: str = ""


def terminology_entry(kind: Kind, task: Task = HCC_GRADE) -> str:
    """Return Slicer's text form of the code of the task's organ, or of a lesion in it."""
    organ, lesion = ((code.scheme, code.value, code.meaning) for code in (task.organ.code, task.lesion.code))
    region = _NOTHING if kind == "liver" else organ
    parts = [
        "Segmentation category and type - 3D Slicer General Anatomy list",
        *("^".join(p) for p in (_CATEGORY[kind], organ if kind == "liver" else lesion, _NOTHING)),
        "Anatomic codes - DICOM master list",
        *("^".join(p) for p in (region, _NOTHING)),
    ]
    return "~".join(parts)


def terminology_codes(entry: str) -> tuple[Code, Code]:
    """Return the (scheme, value) of type and region from Slicer's text form of a terminology entry; ("", "") if
    missing.
    """
    parts = [part.split("^") for part in entry.split("~")]
    codes = [(part[0], part[1]) if len(part) >= 2 else ("", "") for part in parts]
    return (codes[2] if len(codes) > 2 else ("", "")), (codes[5] if len(codes) > 5 else ("", ""))
