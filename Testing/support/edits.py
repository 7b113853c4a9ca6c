"""Mask edits as in the Segment Editor: a changed label map of one segment, through Slicer's own function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk


def ball(reference: Any, center_ras: Sequence[float], radius_mm: float) -> np.ndarray:
    """Return a ball on the grid of a volume node, bool (D, H, W)."""
    shape = slicer.util.arrayFromVolume(reference).shape
    matrix = vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    ras = np.stack([i, j, k], -1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    return ((ras - np.asarray(center_ras)) ** 2).sum(-1) <= radius_mm**2


def segment_id_of(segmentation: Any, name: str) -> str:
    """Return the ID of the segment with this name."""
    return segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)


def mask_of(segmentation: Any, name: str, reference: Any) -> np.ndarray:
    """Return the segment on the grid of a volume node, bool (D, H, W)."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id_of(segmentation, name), reference) > 0


def paint(segmentation: Any, name: str, where: np.ndarray, reference: Any) -> None:
    """Add voxels to a segment; other segments are unchanged."""
    _put(segmentation, name, mask_of(segmentation, name, reference) | where, reference)


def erase(segmentation: Any, name: str, where: np.ndarray, reference: Any) -> None:
    """Remove voxels from a segment."""
    _put(segmentation, name, mask_of(segmentation, name, reference) & ~where, reference)


def _put(segmentation: Any, name: str, mask: np.ndarray, reference: Any) -> None:
    segment_id = segment_id_of(segmentation, name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, reference)
    if not (mask_of(segmentation, name, reference) == mask).all():
        raise AssertionError(f"the segment {name} is not what was drawn")
