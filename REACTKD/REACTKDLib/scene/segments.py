"""Chooses the liver and tumor segments, and returns their masks on the reference grid."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.files.recognition import Candidate, choose, one_lesion_each, refuse_two_meanings
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import joined
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.arrays import slabs
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.reslice import reslice, shifted
from REACTKDLib.scene.terminology import codes_of
from REACTKDLib.scene.volumes import grid_of, ijk_to_ras_of

LABELMAP = "Binary labelmap"
KEEP_SPECKS = "REACTKD.KeepSpecks"  # attribute of the segmentation, so that it is saved with its masks


@dataclass(frozen=True)
class SegmentChoice:
    """The IDs of the segments of a case: one or more that together are the liver, and any number of tumors.

    keep_specks: also grade lesions under 0.05 ml. task: defines the organ and lesions, in place of liver and tumors; it
    belongs to the model, so it does not count when choices are compared.
    """

    livers: tuple[str, ...]
    tumors: tuple[str, ...]
    keep_specks: bool = False
    task: Task = field(default=HCC_GRADE, compare=False)


def choose_segments(
    segmentation: Any,
    liver: str | Iterable[str] | None = None,
    tumors: str | Iterable[str] | None = None,
    task: Task = HCC_GRADE,
) -> SegmentChoice:
    """Return the liver and tumor segments: as given, else by terminology code, else by name.

    task: defines the organ and lesions, in place of liver and tumors.

    liver, tumors: segment IDs, names or label values; None for `core.files.recognition`; an empty list of tumors means
    that there are none.

    Raises: EmptySegmentation, LabelMissing, NoLiver, AmbiguousSegment.
    """
    data = segmentation.GetSegmentation()
    ids = list(data.GetSegmentIDs())
    candidates = [_candidate(segment_id, data.GetSegment(segment_id)) for segment_id in ids]
    chosen = choose(candidates, _keys(data, ids, liver), _keys(data, ids, tumors), task)
    livers, tumors = (tuple(ids[i] for i in indices) for indices in (chosen.livers, chosen.tumors))
    return SegmentChoice(livers, tumors, keeps_specks(segmentation), task)


def names_by_hand(segmentation: Any, chosen: SegmentChoice | None) -> dict[str, list[str]]:
    """Return the names of segments chosen by hand, by "liver" and "tumor"; none if two segments have the same name.

    As without a choice (None), the segments are then recognized.
    """
    nothing: dict[str, list[str]] = {"liver": [], "tumor": []}
    if chosen is None:
        return nothing
    data = segmentation.GetSegmentation()
    every = [data.GetNthSegment(n).GetName() for n in range(data.GetNumberOfSegments())]
    pairs = (("liver", chosen.livers), ("tumor", chosen.tumors))
    names = {kind: [data.GetSegment(i).GetName() for i in ids if data.GetSegment(i) is not None] for kind, ids in pairs}
    return nothing if any(every.count(name) > 1 for part in names.values() for name in part) else names


def lesions_of(segmentation: Any, choice: SegmentChoice) -> tuple[str, ...]:
    """Return the IDs of the tumors whose names denote one whole lesion each: see `core.masks.lesions`."""
    data = segmentation.GetSegmentation()
    ids = [segment_id for segment_id in choice.tumors if data.GetSegment(segment_id) is not None]
    candidates = [_candidate(i, data.GetSegment(i)) for i in ids]
    return tuple(ids[n] for n in one_lesion_each(candidates, range(len(ids)), choice.task))


def keeps_specks(segmentation: Any) -> bool:
    """Return True if the reader stated that lesions under 0.05 ml in this segmentation are real."""
    return segmentation.GetAttribute(KEEP_SPECKS) == "1"


def keep_specks(segmentation: Any) -> None:
    """Record with a segmentation that its lesions under 0.05 ml are graded, as the reader states."""
    segmentation.SetAttribute(KEEP_SPECKS, "1")


def _candidate(segment_id: str, segment: Any) -> Candidate:
    type_code, region_code = codes_of(segment)
    return Candidate(_key(segment_id), segment.GetName(), type_code, region_code)


def _key(segment_id: str) -> str:
    """Return an ID as a key that no segment can have as its name: "Segment_2" may be the name of another segment."""
    return f"id\x1f{segment_id}"


def _keys(data: Any, ids: list[str], wanted: str | Iterable[str] | None) -> list[str] | None:
    """Translate IDs and label values into keys; names stay, as `choose` knows them."""
    if wanted is None:
        return None
    names = {i: data.GetSegment(i).GetName() for i in ids}
    keys = []
    for one in [wanted] if isinstance(wanted, str) else wanted:
        by_label = [i for i in ids if str(data.GetSegment(i).GetLabelValue()) == one]
        if one not in ids:
            refuse_two_meanings(one, names.values(), [names[i] for i in by_label])
        named = one in names.values()
        found = one if one in ids else by_label[0] if len(by_label) == 1 and not named else None
        keys.append(one if found is None else _key(found))
    return keys


def mask_on(segmentation: Any, segment_ids: Iterable[str], reference: Any) -> np.ndarray:
    """Return the union of the segments as bool (D, H, W) on the grid of volume node `reference`.

    Overlapping segments, another geometry, and parent transforms on either side are handled; the nodes stay untouched
    (a segmentation with surfaces only is converted on a copy).
    """
    grid = grid_of(reference)
    relation = relation_between(segmentation, reference)
    segmentation = with_label_maps(segmentation, reference)
    mask = np.zeros(grid.shape, dtype=bool)
    for segment_id in segment_ids:
        array, ijk_to_ras = segment_array(segmentation, segment_id)
        if not array.any():
            continue
        placed = shifted(array, ijk_to_ras, grid) if relation.is_identity else None
        if placed is None:
            placed = reslice(array, ijk_to_ras, relation, grid, nearest=True)
        mask |= placed > 0
    return mask


def with_label_maps(segmentation: Any, reference: Any) -> Any:
    """Return the node itself or, if it has surfaces only, a converted copy outside the scene."""
    data = segmentation.GetSegmentation()
    if data.GetNumberOfSegments() == 0 or data.ContainsRepresentation(LABELMAP):
        return segmentation
    copy = slicer.vtkMRMLSegmentationNode()
    copied = copy.GetSegmentation()
    copied.DeepCopy(data)
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    if not copied.GetConversionParameter(geometry):
        extent = reference.GetImageData().GetExtent()
        relation = relation_between(reference, segmentation)
        placed = relation.placed(ijk_to_ras_of(reference)) if relation.is_linear else ijk_to_ras_of(reference)
        matrix = slicer.util.vtkMatrixFromArray(placed)
        copied.SetConversionParameter(geometry, slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix, extent))
    copied.CreateRepresentation(LABELMAP)
    return copy


def cut_segment(image: Any, label: int) -> Generator[None, None, tuple[np.ndarray, tuple[int, int, int]] | None]:
    """Return the voxels of a label as bool, cropped to their box, and the box's corner (k, j, i); None for no voxel."""
    array, boxes = label_array(image), []
    for rows in slabs(array):
        box = bounding_box(array[rows] == label)
        if box is not None:
            boxes.append((slice(box[0].start + rows.start, box[0].stop + rows.start), *box[1:]))
        yield
    if not boxes:
        return None
    whole = joined(boxes)
    return array[whole] == label, tuple(part.start for part in whole)


def label_array(image: Any) -> np.ndarray:
    """Return the voxels (D, H, W) of a label map, not copied; of shape (0, 0, 0) for None and an empty one."""
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return np.zeros((0, 0, 0), dtype=np.uint8)
    return vtk_to_numpy(scalars).reshape(tuple(reversed(image.GetDimensions())))


def segment_array(segmentation: Any, segment_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one segment as stored: uint8 (D, H, W), possibly empty (0 voxels), and its ijk_to_ras (4, 4)."""
    image = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    array = label_array(image)
    return (array > 0).astype(np.uint8), matrix_of_part(image, (0, 0, 0)) if array.size else np.eye(4)


def matrix_of_part(image: Any, corner: Iterable[int]) -> np.ndarray:
    """Return the (4, 4) matrix of the part of an oriented image that starts at `corner` (k, j, i) of its array."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    start = np.array([*image.GetExtent()[::2], 1.0])
    start[:3] += tuple(corner)[::-1]
    ijk_to_ras[:3, 3] = (ijk_to_ras @ start)[:3]
    return ijk_to_ras
