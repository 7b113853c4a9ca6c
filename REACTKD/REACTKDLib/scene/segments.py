"""Which segments show the liver and which the tumors, and their masks on the reference grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from REACTKDLib.core.errors import AmbiguousSegment, EmptySegmentation, LabelMissing, NoLiver
from REACTKDLib.core.recognition import recognize_name
from REACTKDLib.core.text import quoted
from REACTKDLib.scene.frames import relation_between
from REACTKDLib.scene.reslice import reslice
from REACTKDLib.scene.terminology import recognize_code
from REACTKDLib.scene.volumes import grid_of


@dataclass(frozen=True)
class SegmentChoice:
    """The segment IDs that make a case: one liver, any number of tumors."""

    liver: str
    tumors: tuple[str, ...]


def choose_segments(segmentation: Any, liver: str | None = None, tumors: Iterable[str] | None = None) -> SegmentChoice:
    """Return which segments are the liver and the tumors: as told (by ID or name), else by terminology, else by name.

    tumors: an empty list says that there are none; None leaves it to recognition.

    Raises: EmptySegmentation, LabelMissing, NoLiver, AmbiguousSegment.
    """
    names = segment_names(segmentation)
    if not names:
        raise EmptySegmentation("The segmentation holds no segment; draw the liver and its tumors first.")
    chosen_liver = _find(names, liver) if liver is not None else None
    chosen_tumors = None if tumors is None else tuple(_find(names, tumor) for tumor in tumors)
    if chosen_tumors is None:
        chosen_tumors = tuple(i for i in recognized(segmentation)["tumor"] if i != chosen_liver)
    if chosen_liver is None:
        chosen_liver = _only_liver(segmentation, names)
    return SegmentChoice(chosen_liver, chosen_tumors)


def recognized(segmentation: Any) -> dict[str, list[str]]:
    """Return the segment IDs recognized as {"liver": [...], "tumor": [...]}.

    A terminology code decides. The name is asked only where the code says nothing (none, or the default "Tissue"). For
    each kind, segments known by code win over those known by name.
    """
    by_code: dict[str, list[str]] = {"liver": [], "tumor": []}
    by_name: dict[str, list[str]] = {"liver": [], "tumor": []}
    for segment_id, name in segment_names(segmentation).items():
        verdict = recognize_code(segmentation.GetSegmentation().GetSegment(segment_id))
        if verdict.says_nothing:
            kind = recognize_name(name)
            if kind in by_name:
                by_name[kind].append(segment_id)
        elif verdict.kind is not None:
            by_code[verdict.kind].append(segment_id)
    return {
        "liver": by_code["liver"] or by_name["liver"],
        "tumor": by_code["tumor"] + by_name["tumor"],
    }


def segment_names(segmentation: Any) -> dict[str, str]:
    """Return {segment ID: name} in the order of the segmentation."""
    data = segmentation.GetSegmentation()
    return {i: data.GetSegment(i).GetName() for i in data.GetSegmentIDs()}


def mask_on(segmentation: Any, segment_ids: Iterable[str], reference: Any) -> np.ndarray:
    """Return the union of the segments as bool (D, H, W) on the grid of volume node `reference`.

    Overlapping segments, another geometry, and parent transforms on either side are handled; the nodes stay untouched
    (a segmentation that holds surfaces only is converted on a copy).
    """
    grid = grid_of(reference)
    relation = relation_between(segmentation, reference)
    mask = np.zeros(grid.shape, dtype=bool)
    for segment_id in segment_ids:
        array, ijk_to_ras = segment_array(segmentation, segment_id)
        if array.any():
            mask |= reslice(array, ijk_to_ras, relation, grid, nearest=True) > 0
    return mask


def segment_array(segmentation: Any, segment_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one segment as stored: uint8 (D, H, W), possibly empty (0 voxels), and its ijk_to_ras (4, 4)."""
    image = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    scalars = image.GetPointData().GetScalars()
    if scalars is None or image.GetNumberOfPoints() == 0:
        return np.zeros((0, 0, 0), dtype=np.uint8), np.eye(4)
    array = vtk_to_numpy(scalars).reshape(tuple(reversed(image.GetDimensions())))
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    start = np.array([*image.GetExtent()[::2], 1.0])
    ijk_to_ras[:3, 3] = (ijk_to_ras @ start)[:3]
    return (array > 0).astype(np.uint8), ijk_to_ras


def _find(names: dict[str, str], wanted: str) -> str:
    """Return the ID of the segment with this ID, else of the one with this name."""
    if wanted in names:
        return wanted
    matches = [segment_id for segment_id, name in names.items() if name == wanted]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise AmbiguousSegment(f"{len(matches)} segments are named '{wanted}'; rename them so that one is meant.")
    raise LabelMissing(f"There is no segment '{wanted}'; the segmentation has {quoted(names.values())}.")


def _only_liver(segmentation: Any, names: dict[str, str]) -> str:
    livers = recognized(segmentation)["liver"]
    if not livers:
        raise NoLiver(
            f"None of the segments {quoted(names.values())} is recognized as the liver; "
            "choose the liver segment, or name it 'Liver'."
        )
    if len(livers) > 1:
        exact = [i for i in livers if names[i].strip().lower() == "liver"]
        if len(exact) != 1:
            raise AmbiguousSegment(
                f"The segments {quoted(names[i] for i in livers)} all look like the liver; choose one of them."
            )
        livers = exact
    return livers[0]
