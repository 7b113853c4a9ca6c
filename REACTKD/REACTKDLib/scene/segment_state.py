"""What a segment contains, to detect later edits."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from REACTKDLib.scene.segments import LABELMAP, cut_segment


class SegmentState:
    """What a segment contained when it was looked at. Two states are equal if its voxels are the same.

    Costs nothing while the segment keeps its image: an image that was edited in place counts as changed. Slicer puts
    copies of the images in their place whenever a segmentation with overlapping segments is saved, and when edits are
    undone. Their voxels are compared, once.
    """

    __hash__ = None

    def __init__(self, data: Any, segment_id: str) -> None:
        """data: the vtkSegmentation; a segment that is missing, or was not drawn, has a state as well."""
        segment = data.GetSegment(segment_id)
        kinds = (LABELMAP, data.GetSourceRepresentationName()) if segment is not None else ()
        drawn = (segment.GetRepresentation(kind) for kind in kinds)
        self._drawn = next((part for part in drawn if part is not None), None)
        self._label = segment.GetLabelValue() if self._drawn is not None else 0
        self.time: int | None = self._drawn.GetMTime() if self._drawn is not None else None
        self._others: set[tuple] = set()  # known to differ

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SegmentState):
            return NotImplemented
        if self._key == other._key:
            return True
        if self._drawn is other._drawn or self._key in other._others or other._key in self._others:
            return False
        if self._holds and other._holds and _same_voxels(self._drawn, self._label, other._drawn, other._label):
            older, newer = sorted((self, other), key=lambda state: state.time)
            older._drawn, older._label, older.time = newer._drawn, newer._label, newer.time  # the old image is released
            return True
        self._others.add(other._key)
        other._others.add(self._key)
        return False

    @property
    def _key(self) -> tuple:
        """Unique for the voxels: no two objects of VTK have the same modification time."""
        return self.time, self._label

    @property
    def _holds(self) -> bool:
        """True while the image has not been edited since."""
        return self._drawn is not None and self._drawn.GetMTime() == self.time


def states_of(data: Any) -> dict[str, SegmentState]:
    """Return the states of all segments of a vtkSegmentation, by their ID."""
    return {segment_id: SegmentState(data, segment_id) for segment_id in data.GetSegmentIDs()}


def _same_voxels(first: Any, first_label: int, second: Any, second_label: int) -> bool:
    """Return whether two oriented images have a label at the same places; False for surfaces."""
    if not all(isinstance(image, slicer.vtkOrientedImageData) for image in (first, second)):
        return False
    if not np.array_equal(*(_matrix_of(image) for image in (first, second))):
        return False
    (mask, at), (other, other_at) = _cut(first, first_label), _cut(second, second_label)
    return at == other_at and np.array_equal(mask, other)


def _matrix_of(image: Any) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _cut(image: Any, label: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the voxels of a label, cropped to their box, and the indices of its corner."""
    steps = cut_segment(image, label)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            mask, corner = end.value or (np.zeros((0, 0, 0), bool), (0, 0, 0))
            start = image.GetExtent()[4::-2] if mask.size else (0, 0, 0)
            return mask, tuple(a + b for a, b in zip(corner, start, strict=True))
