"""Reads a DICOM SEG as a `Segmentation`: segments with their codes, on a grid from the file's own geometry.

Frames are placed by their positions, so empty slices may be missing, slices may be in any order and the image axes may
differ in direction from those of the CT. Overlapping segments keep all their voxels. The background of a LABELMAP is
not a segment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from REACTKDLib.core.errors import EmptySegmentation, FileMissing, NotASegmentation
from REACTKDLib.core.files.dicom.decoding import lacks_decoder, why_not_decoded
from REACTKDLib.core.files.dicom.frames import on_even_grid
from REACTKDLib.core.files.dicom.header import code_of, text
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.packages import need_highdicom
from REACTKDLib.core.files.segmentation_writer import pack_layers
from REACTKDLib.core.files.segments import Segment, Segmentation
from REACTKDLib.core.files.volumes import LPS_TO_RAS
from REACTKDLib.core.modality import SEGMENTATION_ROLE
from REACTKDLib.core.text import tr as _

HALF = 0.5  # a FRACTIONAL segment covers voxels of at least this fraction
POSITION_MM = 0.05  # smaller deviations from even spacing are rounding, which `on_even_grid` has corrected if possible
MOST_PLANES = 5000  # including empty ones between the frames
_TOGETHER = 1 << 24  # voxels of segments that are read at a time: highdicom looks through all frames for each call
_BACKGROUND = ("DCM", "125040")


def read_dicom_segmentation(path: str | os.PathLike) -> Segmentation:
    """Read a DICOM SEG file: BINARY, FRACTIONAL (cut at one half) or LABELMAP.

    The layers contain one plane for each position between the first and the last frame, ascending along the normal,
    with the axes that the file states. Empty segments stay in the list.

    Raises: FileMissing, NotASegmentation (another DICOM object, frames without an even spacing), EmptySegmentation,
    PackagesMissing.
    """
    dataset = open_segmentation(path)
    numbers = [n for n in dataset.segment_numbers if not _is_background(dataset, n)]
    try:
        matrix, layers, places = _packed(dataset, numbers)
    except NotASegmentation:
        raise
    except Exception as error:  # highdicom's messages refer to its own calls
        if lacks_decoder(dataset):
            raise NotASegmentation(why_not_decoded(dataset, SEGMENTATION_ROLE)) from error
        raise NotASegmentation(
            _(
                "The DICOM segmentation's frames lie on no even grid; resample it to the CT in 3D "
                "Slicer and save it as .seg.nrrd."
            )
        ) from error
    if not layers.any():
        raise EmptySegmentation(
            _("The segmentation is empty: no voxel is labeled; draw the organ and its lesions, or choose another file.")
        )
    segments = tuple(
        Segment(_name(dataset, n), label, layer, terminology=_terminology(dataset.get_segment_description(n)))
        for n, (layer, label) in zip(numbers, places, strict=True)
    )
    return Segmentation(layers, matrix, segments)


def open_segmentation(path: str | os.PathLike) -> Any:
    """Open a SEG with highdicom. Raises: FileMissing, NotASegmentation, PackagesMissing."""
    highdicom = need_highdicom()
    if not os.path.isfile(path):
        raise FileMissing(_("There is no file at the path given for the segmentation; check the path."))
    try:
        dataset = opened(path)
        if text(dataset, "Modality").upper() == "RTSTRUCT":
            raise NotASegmentation(
                _(
                    "The file given for the segmentation is an RT structure set (RTSTRUCT), which holds "
                    "contours; convert it to a segmentation in 3D Slicer and save that as .seg.nrrd."
                )
            )
        planes = on_even_grid(dataset)
        segmentation = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    except NotASegmentation:
        raise
    except Exception as error:
        raise NotASegmentation(
            _(
                "The file given for the segmentation is no DICOM segmentation (SEG) that can be read; "
                "give the SEG object, a .seg.nrrd or a label map."
            )
        ) from error
    if planes is not None and planes.line.index[-1] >= MOST_PLANES:
        raise NotASegmentation(
            _(
                "The DICOM segmentation's frames lie too far apart for one volume; resample it to the "
                "CT in 3D Slicer and save it as .seg.nrrd."
            )
        )
    if planes is not None and (planes.shifted or planes.tilted):
        raise NotASegmentation(
            _(
                "The DICOM segmentation's frames are shifted sideways against each other; resample it "
                "to the CT in 3D Slicer and save it as .seg.nrrd."
            )
        )
    return segmentation


def _packed(dataset: Any, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Return matrix, layers, and the layer and label of each segment.

    At most `_TOGETHER` voxels, or one segment, are in memory at a time.
    """
    placed: list[np.ndarray] = []

    def masks() -> Iterator[np.ndarray]:
        first, count = 0, 1
        while first < len(numbers):
            volume = dataset.get_volume(
                segment_numbers=numbers[first : first + count],
                combine_segments=False,
                allow_missing_positions=True,
                atol=POSITION_MM,
            )
            for n in range(volume.array.shape[-1]):
                mask, matrix = ascending(volume.array[..., n] >= HALF, volume.affine)
                placed.append(matrix)
                yield mask
            first += count
            count = max(1, _TOGETHER // volume.array[..., 0].size)

    if not numbers:
        raise NotASegmentation(_("The DICOM segmentation describes no segment; export it again."))
    layers, places = pack_layers(masks())
    return placed[0], layers, places


def ascending(mask: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an array (D, H, W) with planes ascending along the normal as CT series are stacked, and its ijk_to_ras.

    affine: highdicom's, LPS, for the indices (plane, row, column).
    """
    lps = np.eye(4)
    lps[:3, :3] = affine[:3, [2, 1, 0]]
    lps[:3, 3] = affine[:3, 3]
    if np.dot(np.cross(lps[:3, 0], lps[:3, 1]), lps[:3, 2]) < 0:
        lps[:3, 3] += lps[:3, 2] * (mask.shape[0] - 1)
        lps[:3, 2] *= -1
        mask = mask[::-1]
    return mask, LPS_TO_RAS @ lps


def _is_background(dataset: Any, segment: int) -> bool:
    if segment == 0:
        return True
    return code_of(dataset.get_segment_description(segment), "SegmentedPropertyTypeCodeSequence")[:2] == _BACKGROUND


def _name(dataset: Any, segment: int) -> str:
    return text(dataset.get_segment_description(segment), "SegmentLabel") or f"segment {segment}"


def _terminology(description: Any) -> str:
    """Return Slicer's text form of the terminology entry, so that codes are recognized as in a `.seg.nrrd`."""
    category = code_of(description, "SegmentedPropertyCategoryCodeSequence")
    kind = code_of(description, "SegmentedPropertyTypeCodeSequence")
    region = code_of(description, "AnatomicRegionSequence")
    parts = ["DICOM", _entry(category), _entry(kind), "^^", "DICOM", _entry(region), "^^"]
    return "~".join(parts)


def _entry(code: tuple[str, str, str]) -> str:
    return "^".join(part.replace("^", " ").replace("~", " ").replace("|", " ") for part in code)
