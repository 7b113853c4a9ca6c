"""Changes single voxels of a segmentation's segments: on a copy, which no selector offers, or on the user's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.worker.mending import Edit
from REACTKDLib.scene.case import CaseNodes
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.scene_nodes import free_name, new_unlisted_node
from REACTKDLib.scene.segments import LABELMAP, label_array, matrix_of_part
from REACTKDLib.scene.terminology import tag
from REACTKDLib.scene.volumes import ijk_to_ras_of

_HUE_STEP = 0.61803  # the golden ratio: successive hues are far apart


def unlisted_segmentation(scene: Any, name: str) -> Any:
    """Add an empty segmentation that is neither saved with the scene nor offered in selectors, and return it."""
    return scene.AddNode(new_unlisted_node(scene, "vtkMRMLSegmentationNode", free_name(scene, name)))


def copy_of(scene: Any, segmentation: Any, name: str) -> Any:
    """Add a copy of a segmentation that is neither saved with the scene nor offered in selectors, and return it."""
    node = unlisted_segmentation(scene, name)
    node.GetSegmentation().DeepCopy(segmentation.GetSegmentation())
    node.SetAndObserveTransformNodeID(segmentation.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    return node


def matrix_in(nodes: CaseNodes) -> np.ndarray:
    """Return the (4, 4) matrix of the reference grid in the frame of the segmentation."""
    return relation_between(nodes.reference, nodes.segmentation).placed(ijk_to_ras_of(nodes.reference))


def new_ids_for(segmentation: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Return unused IDs for new segments with these names."""
    ids, taken = [], set(segmentation.GetSegmentation().GetSegmentIDs())
    for name in names:
        new = name.replace(" ", "_")
        while new in taken:
            new += "_"
        taken.add(new)
        ids.append(new)
    return tuple(ids)


def grids_of(segmentation: Any, edits: Iterable[Edit]) -> dict[str, np.ndarray]:
    """Return the (4, 4) matrix of the label map of each segment that is changed, by its ID; of those that exist.

    Drawing leaves it as it is; a transform that is hardened, or another geometry, changes it.
    """
    data, grids = segmentation.GetSegmentation(), {}
    for segment_id in {edit.segment for edit in edits} & set(data.GetSegmentIDs()):
        image = data.GetSegment(segment_id).GetRepresentation(LABELMAP)
        if image is not None:
            matrix = vtk.vtkMatrix4x4()
            image.GetImageToWorldMatrix(matrix)
            grids[segment_id] = slicer.util.arrayFromVTKMatrix(matrix)
    return grids


def voxels_at(segmentation: Any, segment_id: str, ijk_to_ras: np.ndarray, edit: Edit) -> np.ndarray:
    """Return for each voxel of an edit, in the order of its mask, whether a segment contains its center: bool (n,).

    ijk_to_ras: see `apply_edits`. A segment that does not exist contains none.
    """
    inside = np.zeros(np.count_nonzero(edit.mask), dtype=bool)
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    image = segment.GetRepresentation(LABELMAP) if segment is not None else None
    array = label_array(image)
    if not array.size:
        return inside
    to_array = np.linalg.inv(matrix_of_part(image, (0, 0, 0))) @ ijk_to_ras
    ijk = (np.argwhere(edit.mask) + edit.corner)[:, ::-1]
    places = np.rint(ijk @ to_array[:3, :3].T + to_array[:3, 3]).astype(int)[:, ::-1]
    known = ((places >= 0) & (places < array.shape)).all(axis=1)
    inside[known] = array[tuple(places[known].T)] == segment.GetLabelValue()
    return inside


def apply_edits(
    segmentation: Any, ijk_to_ras: np.ndarray, edits: Iterable[Edit], new_ids: Iterable[str], task: Task
) -> None:
    """Change only the voxels of the edits. Slicer resamples them if a segment has another geometry.

    ijk_to_ras: (4, 4), of the voxels of `edits` in the frame of the segmentation. new_ids: of the segments that they
    add. Raises: UsageError if Slicer refuses.

    A changed segment first gets its own layer. In a shared layer a voxel has one label: adding it to one segment would
    remove it from another, and a merge would keep the larger label, whichever segment it belongs to.
    """
    kind, new_ids = slicer.vtkSlicerSegmentationsModuleLogic, iter(new_ids)
    hold = segmentation.StartModify()
    try:
        for edit in edits:
            segment_id = edit.segment
            image = image_of(edit.mask if edit.add else ~edit.mask, edit.corner, ijk_to_ras)
            mode = kind.MODE_MERGE_MAX if edit.add else kind.MODE_MERGE_MIN
            if segment_id is None:
                segment_id, mode = next(new_ids), kind.MODE_REPLACE
                _add_segment(segmentation.GetSegmentation(), segment_id, edit.name, task)
            segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
            if not kind.SetBinaryLabelmapToSegment(image, segmentation, segment_id, mode):
                raise UsageError(_("A segment could not be changed; save the scene, load it again and try once more."))
    finally:
        segmentation.EndModify(hold)


def _add_segment(data: Any, segment_id: str, name: str, task: Task) -> None:
    """Add an empty segment for a lesion of a task, with its own color."""
    hue = data.GetNumberOfSegments() * _HUE_STEP % 1.0
    color = [0.55 + 0.45 * max(0.0, min(1.0, abs((hue * 6 + shift) % 6 - 3) - 1)) for shift in (0, 4, 2)]
    data.AddEmptySegment(segment_id, name, color)
    tag(data.GetSegment(segment_id), "tumor", task)


def image_of(mask: np.ndarray, corner: tuple[int, int, int], matrix: np.ndarray) -> Any:
    """Return a mask at `corner` of the grid of `matrix` as vtkOrientedImageData."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(v for start, n in zip(corner[::-1], mask.shape[::-1]) for v in (start, start + n - 1)))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).reshape(-1), deep=True))
    return image
