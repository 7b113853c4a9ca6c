"""The regions as a segmentation: one segment each, colored by its effect on the predicted grade."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import numpy_to_vtk

from REACTKDLib.core.geometry import bounding_box
from REACTKDLib.core.regions import RegionSet
from REACTKDLib.scene.colors import effect_color
from REACTKDLib.scene.result import GradeResult, effect_limit, rows_with_regions
from REACTKDLib.scene.segments import LABELMAP
from REACTKDLib.scene.terminology import tag

LESION_FILL = (0.08, 0.42)  # of a lesion without effect, and of the one with the largest
PARENCHYMA_OUTLINE = 0.55
PARENCHYMA_OPACITY_3D = 0.22


def write_regions(node: Any, result: GradeResult, reference: Any) -> None:
    """Replace the content of segmentation node `node` by the regions of `result`, in the frame of `reference`.

    All segments share one label map cropped to the organ. A closed surface is made, so that 3D views show it.
    """
    limit = effect_limit(result.report)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    hold = node.StartModify()
    try:
        data = node.GetSegmentation()
        data.RemoveAllSegments()
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
        image = _label_image(result.regions)
        for row, region in rows_with_regions(result):
            segment = slicer.vtkSegment()
            segment.SetName(row.name)
            segment.SetColor(*effect_color(row.deletion_effect, limit))
            segment.SetLabelValue(region.label)
            segment.AddRepresentation(LABELMAP, image)
            if row.kind == "tumor":
                tag(segment, "tumor")
            data.AddSegment(segment, f"Region_{region.label}")
    finally:
        node.EndModify(hold)
    node.CreateClosedSurfaceRepresentation()
    _set_display(node.GetDisplayNode(), result)


def _set_display(display: Any, result: GradeResult) -> None:
    """Parenchyma: a thin outline and a see-through surface. Lesions: filled outlines and solid surfaces."""
    limit = effect_limit(result.report)
    display.SetVisibility(True)
    display.SetPreferredDisplayRepresentationName3D("Closed surface")
    display.SetPreferredDisplayRepresentationName2D(LABELMAP)
    display.SetOpacity(1.0)
    display.SetOpacity2DFill(1.0)
    display.SetOpacity2DOutline(1.0)
    display.SetOpacity3D(1.0)
    display.SetSliceIntersectionThickness(3)
    for row, region in rows_with_regions(result):
        segment_id = f"Region_{region.label}"
        lesion = row.kind == "tumor"
        display.SetSegmentVisibility(segment_id, True)
        share = min(1.0, abs(row.deletion_effect or 0.0) / limit)
        fill = LESION_FILL[0] + (LESION_FILL[1] - LESION_FILL[0]) * share
        display.SetSegmentOpacity2DFill(segment_id, fill if lesion else 0.0)
        display.SetSegmentOpacity2DOutline(segment_id, 1.0 if lesion else PARENCHYMA_OUTLINE)
        display.SetSegmentOpacity3D(segment_id, 1.0 if lesion else PARENCHYMA_OPACITY_3D)


def _label_image(regions: RegionSet) -> Any:
    """Return the labels as vtkOrientedImageData, cropped to the voxels in use with a margin of one."""
    box = bounding_box(regions.labels != 0) or (slice(0, 1),) * 3
    box = tuple(
        slice(max(0, part.start - 1), min(size, part.stop + 1))
        for part, size in zip(box, regions.labels.shape, strict=True)
    )
    labels = np.ascontiguousarray(regions.labels[box])
    if len(regions.regions) < 255:
        labels = labels.astype(np.uint8)
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(v for part in reversed(box) for v in (part.start, part.stop - 1)))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(regions.ijk_to_ras))
    image.GetPointData().SetScalars(numpy_to_vtk(labels.reshape(-1), deep=True))
    return image
