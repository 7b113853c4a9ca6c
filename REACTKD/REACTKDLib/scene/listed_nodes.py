"""The nodes of a case of a list: created outside the scene in small steps, then added in one step."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from REACTKDLib.core.files.segments import Segment
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.worker.arrays import slabs
from REACTKDLib.core.worker.files_read import FilesRead, ImageRead
from REACTKDLib.scene.case import NODE_NAMES, CaseNodes
from REACTKDLib.scene.folder import take_out_of_folder
from REACTKDLib.scene.outputs import remove_outputs
from REACTKDLib.scene.parameter_node import CASE_ID, parameter_nodes, recorded_ids
from REACTKDLib.scene.remarks import write_remarks
from REACTKDLib.scene.scene_nodes import remove_with_displays
from REACTKDLib.scene.segments import LABELMAP, SegmentChoice
from REACTKDLib.scene.units import write_unit
from REACTKDLib.scene.volumes import ijk_to_ras_of

PET_COLORS = "vtkMRMLColorTableNodeInvertedGrey"  # uptake is dark, as usual in nuclear medicine


@dataclass(frozen=True, eq=False)
class ListedNodes:
    """The nodes of a listed case. problem: with its masks, one sentence, or empty.

    choice: the segments that the list names; None if they are recognized, again for each grade, so that a newly drawn
    lesion segment counts.
    """

    case_id: str
    nodes: CaseNodes
    choice: SegmentChoice | None
    problem: str


def images_in_slices(read: FilesRead) -> Generator[None, None, tuple[dict[Modality, Any], list[Any]]]:
    """Copy the voxels of images and label layers into VTK images; no node is created yet."""
    images = {}
    for modality, image in read.images.items():
        images[modality] = yield from _copied(vtk.vtkImageData(), image.array)
    layers = []
    for layer in read.layers:
        image = yield from _copied(slicer.vtkOrientedImageData(), layer.array, layer.corner)
        # The matrix of the whole grid, and the start of this part: the Segment Editor enlarges a part by its extent.
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(read.grid.ijk_to_ras))
        layers.append(image)
    return images, layers


def add_case(
    scene: Any,
    case_id: str,
    read: FilesRead,
    images: dict[Modality, Any],
    layers: list[Any],
    named: bool = False,
    task: Task = HCC_GRADE,
) -> ListedNodes:
    """Add a case to the scene. A case without masks gets an empty segmentation to draw in. named: see `choice`.

    task: defines organ and lesions.
    """
    volumes = {m: _add_volume(scene, f"{case_id} {NODE_NAMES[m]}", read.images[m], images[m], m) for m in images}
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{case_id} Segmentation")
    segmentation.CreateDefaultDisplayNodes()
    nodes = CaseNodes(volumes, segmentation)
    _set_geometry(segmentation, read.grid, nodes.reference)
    ids = _add_segments(segmentation, read, layers)
    choice = None
    if named and read.livers:
        livers, tumors = (tuple(ids[i] for i in chosen) for chosen in (read.livers, read.tumors))
        choice = SegmentChoice(livers, tumors, task=task)
    return ListedNodes(case_id, nodes, choice, read.problem)


def remove_case(scene: Any, listed: ListedNodes) -> None:
    """Remove the nodes of `add_case` and all results computed from them; everything else stays.

    The user may have deleted some of these nodes, or all; the result then has only the name of the case.
    """
    own = {node.GetID() for node in listed.nodes.all()}
    for parameter_node in parameter_nodes(scene):
        named, inputs = parameter_node.GetParameter(CASE_ID) == listed.case_id, recorded_ids(parameter_node)
        if not own.isdisjoint(inputs) or (named and not inputs):
            remove_outputs(scene, parameter_node)
            scene.RemoveNode(parameter_node)
    present = [node for node in listed.nodes.all() if scene.IsNodePresent(node)]
    take_out_of_folder(scene, present)
    for node in present:
        remove_with_displays(scene, node)


def _copied(image: Any, array: np.ndarray, corner: tuple[int, int, int] = (0, 0, 0)) -> Generator[None, None, Any]:
    extent = [(start, start + size - 1) for start, size in zip(corner, array.shape, strict=True)]
    image.SetExtent(*(edge for pair in reversed(extent) for edge in pair))
    image.AllocateScalars(get_vtk_array_type(array.dtype), 1)
    target = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(array.shape)
    for rows in slabs(array):
        target[rows] = array[rows]
        yield
    return image


def _add_volume(scene: Any, name: str, read: ImageRead, image: Any, modality: Modality) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)  # before the voxels are set: a histogram of the whole volume takes half a second
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(read.ijk_to_ras))
    node.SetAndObserveImageData(image)
    display.SetWindowLevelMinMax(*read.window)
    if modality is not Modality.CT and scene.GetNodeByID(PET_COLORS) is not None:
        display.SetAndObserveColorNodeID(PET_COLORS)
    write_unit(node, read.unit)
    write_remarks(node, read.findings)
    return node


def _set_geometry(segmentation: Any, grid: Grid | None, reference: Any) -> None:
    """Make new segments use the grid of the existing ones, as after loading a file by hand."""
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    if grid is None or np.array_equal(grid.ijk_to_ras, ijk_to_ras_of(reference)):
        return
    extent = [edge for size in reversed(grid.shape) for edge in (0, size - 1)]
    matrix = slicer.util.vtkMatrixFromArray(grid.ijk_to_ras)
    converter = slicer.vtkSegmentationConverter
    text = converter.SerializeImageGeometry(matrix, extent)
    segmentation.GetSegmentation().SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), text)


def _add_segments(segmentation: Any, read: FilesRead, layers: list[Any]) -> list[str]:
    """Add the segments in the file's order and return their IDs; those of one layer share its image, as in Slicer."""
    data = segmentation.GetSegmentation()
    by_number = {layer.number: image for layer, image in zip(read.layers, layers, strict=True)}
    hold = segmentation.StartModify()
    try:
        return [_add_segment(data, entry, by_number.get(entry.layer)) for entry in read.segments]
    finally:
        segmentation.EndModify(hold)


def _add_segment(data: Any, entry: Segment, image: Any) -> str:
    segment_id = data.GenerateUniqueSegmentID(entry.name)
    if image is None:
        data.AddEmptySegment(segment_id, entry.name, entry.color)
        segment = data.GetSegment(segment_id)
    else:
        segment = slicer.vtkSegment()
        segment.SetName(entry.name)
        segment.SetColor(*entry.color)
        segment.SetLabelValue(entry.label)
        segment.AddRepresentation(LABELMAP, image)
        data.AddSegment(segment, segment_id)
    if entry.terminology:
        segment.SetTerminology(entry.terminology)
    return segment_id
