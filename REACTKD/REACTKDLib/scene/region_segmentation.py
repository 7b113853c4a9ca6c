"""The regions as a segmentation: one segment each, colored by the selected value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from REACTKDLib.core.masks.regions import RegionSet
from REACTKDLib.core.reports.report import GradeReport, ReportRegion
from REACTKDLib.core.task import Task
from REACTKDLib.core.text import sentence
from REACTKDLib.scene.folder import is_shown, opacity_of
from REACTKDLib.scene.overlay import Overlay
from REACTKDLib.scene.result import GradeResult, rows_with_regions
from REACTKDLib.scene.segments import LABELMAP
from REACTKDLib.scene.surfaces import poly_data_of, surface_of
from REACTKDLib.scene.terminology import tag
from REACTKDLib.scene.translation import tr as _
from REACTKDLib.scene.translation import translated

LESION_FILL = (0.19, 1.0)  # fill from no effect to the largest; times the opacity of the view
PARENCHYMA_OUTLINE = 0.55
PARENCHYMA_OPACITY_3D = 0.22
LESION_SEE_THROUGH_3D = 0.3
CLOSED_SURFACE = "Closed surface"
_ID, _OUTLINE = "Region_", "Outline"
_PARENCHYMA = f"{_ID}1"


def write_regions(node: Any, result: GradeResult, reference: Any) -> None:
    """Replace the content of segmentation node `node` by the regions of `result`, in the frame of `reference`.

    All segments share one label map cropped to the organ. Their surfaces in 3D views are those of the former result
    until `write_surface_steps` replaces them; those of the lesions only if it had the same regions. Colors are left to
    `color_regions`.
    """
    image, former = _labels_of(result), _surfaces_of(node.GetSegmentation())
    if set(former) != {f"{_ID}{region.label}" for _row, region in rows_with_regions(result)}:
        former = {_PARENCHYMA: former.get(_PARENCHYMA)}  # a number may now be that of another lesion
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        _set_display(node.GetDisplayNode())
    hold = node.StartModify()
    try:
        data = node.GetSegmentation()
        _remove_segments(data)
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
        for row, region in rows_with_regions(result):
            segment = slicer.vtkSegment()
            segment.SetName(translated(row.name))
            segment.SetLabelValue(region.label)
            segment.AddRepresentation(LABELMAP, image)
            segment.AddRepresentation(CLOSED_SURFACE, former.get(f"{_ID}{region.label}") or vtk.vtkPolyData())
            if row.kind == "tumor":
                tag(segment, "tumor", result.report.task)
            data.AddSegment(segment, f"{_ID}{region.label}")
            node.GetDisplayNode().SetSegmentVisibility(f"{_ID}{region.label}", True)  # another lesion may have had it
    finally:
        node.EndModify(hold)


def write_surface_steps(node: Any, result: GradeResult) -> Iterator[None]:
    """Give the segments that `write_regions` has written their closed surfaces, which 3D views show.

    Those that the result lacks are computed, each of which takes a few hundredths of a second; yields between them.
    """
    surfaces, ready = {}, getattr(result, "surfaces", {})
    for _row, region in rows_with_regions(result):
        if region.label in ready:
            surfaces[region.label] = poly_data_of(ready[region.label])
        elif region.voxels:
            surfaces[region.label] = surface_of(result.regions, region)
        yield
    data, hold = node.GetSegmentation(), node.StartModify()
    for _row, region in rows_with_regions(result):
        segment = data.GetSegment(f"{_ID}{region.label}")
        if segment is not None:  # the user may have deleted it since
            segment.AddRepresentation(CLOSED_SURFACE, surfaces.get(region.label) or vtk.vtkPolyData())
    node.EndModify(hold)
    node.GetDisplayNode().Modified()  # 3D views take another surface only then


def _surfaces_of(data: Any) -> dict[str, Any]:
    segments = {segment_id: data.GetSegment(segment_id) for segment_id in data.GetSegmentIDs()}
    return {segment_id: segment.GetRepresentation(CLOSED_SURFACE) for segment_id, segment in segments.items()}


def write_liver_outline(node: Any, result: GradeResult, reference: Any) -> None:
    """Replace the content of segmentation node `node` by the whole organ, of which slices show only the outline.

    The parenchyma has a hole for each lesion, and its own outline would surround every one of them: a second ring that
    looks like a capsule.
    """
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    _write_outline(node, _labels_of(result, whole=True), reference, result.report.task)


def write_outline_of(node: Any, regions: Any, task: Task) -> None:
    """Do what `write_liver_outline` does, from the region segmentation of a loaded scene."""
    image = slicer.vtkOrientedImageData()
    regions.GenerateMergedLabelmapForAllSegments(image, slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS)
    labels = vtk_to_numpy(image.GetPointData().GetScalars())
    labels[:] = labels > 0
    node.GetSegmentation().CopyConversionParameters(regions.GetSegmentation())
    _write_outline(node, image, regions, task)


def _write_outline(node: Any, image: Any, placed: Any, task: Task) -> None:
    """placed: a node under the same transform."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        _set_display(node.GetDisplayNode())
    node.GetDisplayNode().SetVisibility3D(False)
    hold = node.StartModify()
    data = node.GetSegmentation()
    _remove_segments(data)
    node.SetAndObserveTransformNodeID(placed.GetTransformNodeID())
    segment = slicer.vtkSegment()
    organ = sentence(translated(task.organ.name))  # its title is for segment names and is not translated
    segment.SetName(_("{organ} outline").format(organ=organ))
    segment.AddRepresentation(LABELMAP, image)
    data.AddSegment(segment, _OUTLINE)
    node.EndModify(hold)


def color_liver_outline(node: Any, regions: Any) -> None:
    """Give the outline the color of the parenchyma in the region segmentation, which then shows no outline."""
    parenchyma = regions.GetSegmentation().GetSegment(_PARENCHYMA)
    if parenchyma is None or node.GetSegmentation().GetSegment(_OUTLINE) is None:
        return
    display = node.GetDisplayNode()
    node.GetSegmentation().GetSegment(_OUTLINE).SetColor(*parenchyma.GetColor())
    display.SetSegmentOpacity2DFill(_OUTLINE, 0.0)
    display.SetSegmentOpacity2DOutline(_OUTLINE, PARENCHYMA_OUTLINE)
    regions.GetDisplayNode().SetSegmentVisibility2DOutline(_PARENCHYMA, False)
    follow_parenchyma(node, regions)


def shown_segments(node: Any) -> tuple[str, ...]:
    """Return the IDs of the segments of a segmentation node that are shown; none where it or its folder is hidden."""
    display = node.GetDisplayNode()
    ids = node.GetSegmentation().GetSegmentIDs() if is_shown(node) else ()
    return tuple(segment_id for segment_id in ids if display.GetSegmentVisibility(segment_id))


def follow_parenchyma(outline: Any, regions: Any) -> None:
    """Show the organ's outline only while the parenchyma is shown, and as opaque as the regions: it is in no list, so
    the user could not change it.
    """
    if outline.GetDisplayNode() is not None:
        outline.GetDisplayNode().SetVisibility(_PARENCHYMA in shown_segments(regions))
        outline.GetDisplayNode().SetOpacity(opacity_of(regions))


def color_regions(node: Any, report: GradeReport, overlay: Overlay, see_through: bool = False) -> None:
    """Color the segments by the value of `overlay`. The larger its value, the more opaque is the fill of a lesion.

    Parenchyma: a thin outline and a see-through surface. Lesions: filled outlines and solid surfaces; see_through:
    transparent ones, since the spheres of the graph are inside them.
    """
    data, display = node.GetSegmentation(), node.GetDisplayNode()
    limit, lesion_3d = overlay.limit(report), LESION_SEE_THROUGH_3D if see_through else 1.0
    hold = display.StartModify()
    for segment_id in data.GetSegmentIDs():
        row = row_of_segment(report, segment_id)
        if row is None:
            continue
        value = overlay.value_of(row)
        data.GetSegment(segment_id).SetColor(*overlay.color(value, limit))
        lesion = row.kind == "tumor"
        share = min(1.0, abs(value or 0.0) / limit)
        fill = LESION_FILL[0] + (LESION_FILL[1] - LESION_FILL[0]) * share
        display.SetSegmentOpacity2DFill(segment_id, fill if lesion else 0.0)
        display.SetSegmentOpacity2DOutline(segment_id, 1.0 if lesion else PARENCHYMA_OUTLINE)
        display.SetSegmentOpacity3D(segment_id, lesion_3d if lesion else PARENCHYMA_OPACITY_3D)
    display.EndModify(hold)


def lesion_segments(node: Any) -> list[str]:
    """Return the IDs of the segments that are lesions: all but the parenchyma, the first."""
    return [segment_id for segment_id in node.GetSegmentation().GetSegmentIDs() if segment_id != _PARENCHYMA]


def row_of_segment(report: GradeReport, segment_id: str) -> ReportRegion | None:
    """Return the row of the report that a segment of the region segmentation shows."""
    label = segment_id.removeprefix(_ID)
    index = int(label) - 1 if label.isdigit() else -1
    return report.regions[index] if 0 <= index < len(report.regions) else None


def _set_display(display: Any) -> None:
    display.SetVisibility(True)
    display.SetPreferredDisplayRepresentationName3D(CLOSED_SURFACE)
    display.SetPreferredDisplayRepresentationName2D(LABELMAP)
    display.SetOpacity(1.0)
    display.SetOpacity2DOutline(1.0)
    display.SetOpacity3D(1.0)
    display.SetSliceIntersectionThickness(3)


def label_images(regions: RegionSet) -> tuple[Any, Any]:
    """Return the labels of the regions and those of the organ as one, as vtkOrientedImageData."""
    return _label_image(regions), _label_image(regions, whole=True)


def _labels_of(result: GradeResult, whole: bool = False) -> Any:
    """Return one of the `label_images` of a result, created if necessary."""
    made = getattr(result, "label_images", None)
    return made[whole] if made else _label_image(result.regions, whole)


def _remove_segments(data: Any) -> None:
    """Remove all segments, after their voxels: otherwise each segment removed from a shared label map would be erased
    voxel by voxel, which takes some 50 ms for a liver with lesions.
    """
    for n in range(data.GetNumberOfSegments()):
        data.GetNthSegment(n).RemoveAllRepresentations()
    data.RemoveAllSegments()


def _label_image(regions: RegionSet, whole: bool = False) -> Any:
    """Return the labels as vtkOrientedImageData, cropped to the voxels in use with a margin of one.

    whole: one label for all of them.
    """
    box = tuple(
        slice(max(0, part.start - 1), min(size, part.stop + 1))
        for part, size in zip(regions.box, regions.labels.shape, strict=True)
    )
    labels = regions.labels[box]
    labels = np.array(labels > 0 if whole else labels, dtype=labels.dtype, order="C")
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(v for part in reversed(box) for v in (part.start, part.stop - 1)))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(regions.ijk_to_ras))
    image.GetPointData().SetScalars(numpy_to_vtk(labels.reshape(-1)))  # keeps the array alive
    return image
