"""Reading of segmentations: `.seg.nrrd` with named segments, and label maps in any image format.

A `.seg.nrrd` is an NRRD whose text fields describe the segments (`Segment0_Name`, `Segment0_LabelValue`,
`Segment0_Layer`, `Segment0_Tags` with a terminology entry). Overlapping segments are in different layers, a list axis
before the three spatial axes. Format: 3D Slicer, vtkMRMLSegmentationStorageNode.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from REACTKDLib.core.errors import EmptySegmentation, NotASegmentation
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.segments import Segment, Segmentation
from REACTKDLib.core.files.volumes import RawImage, read_raw
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.modality import SEGMENTATION_ROLE
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import plural
from REACTKDLib.core.text import tr as _

MOST_LABELS = 1000  # TotalSegmentator has 117; a photograph given as a label map has thousands
_SEGMENT_FIELD = re.compile(r"Segment(\d{1,6})_(Name|ID|LabelValue|Layer)$")


def read_segmentation(path: str | os.PathLike, task: Task = HCC_GRADE) -> Segmentation:
    """Read a `.seg.nrrd`, or a label map whose segments are then named "label 1", "label 5" and so on.

    Raises: EmptySegmentation if no voxel is labeled; NotASegmentation for values that are not labels; and what
    `files.volumes.read_raw` raises.
    """
    return segmentation_of(read_raw(path, SEGMENTATION_ROLE), task)


def segmentation_of(raw: RawImage, task: Task = HCC_GRADE) -> Segmentation:
    """Return a label image as a segmentation. Raises: EmptySegmentation, NotASegmentation; see `read_segmentation`."""
    layers, rounded = _layers(raw.array)
    if not layers.any():
        text = _(
            "The segmentation is empty: no voxel is labeled; draw the {organ} and its {lesions}, or choose another "
            "file."
        )
        raise EmptySegmentation(text, organ=task.organ.name, lesions=task.lesion.many)
    segments = _described_segments(raw)
    if segments:
        _refuse_nameless(layers, segments)
    else:
        segments = _numbered_segments(layers)
    return Segmentation(layers, raw.ijk_to_ras, segments, (*raw.findings, *rounded), raw.other_places)


def _layers(array: np.ndarray) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Return (L, D, H, W) integers and findings, or raise NotASegmentation."""
    return whole_labels(np.moveaxis(array, -1, 0) if array.ndim == 4 else array[None], SEGMENTATION_ROLE)


def _numbered_segments(layers: np.ndarray) -> tuple[Segment, ...]:
    highest = int(layers.max())
    if layers.shape[0] > 1 or (highest > 65535 and np.unique(layers).size > MOST_LABELS):
        raise NotASegmentation(_("The segmentation file holds a picture, not labels; give a label map or a .seg.nrrd."))
    present = np.unique(layers) if highest > 65535 else np.flatnonzero(np.bincount(layers.ravel().astype(np.intp)))
    labels = [int(v) for v in present if v]
    if len(labels) > MOST_LABELS:
        text = _("The segmentation file holds {count} different values, as an image does; give a label map.")
        raise NotASegmentation(text, count=len(labels))
    return tuple(Segment(f"label {label}", label) for label in labels)


def _described_segments(raw: RawImage) -> tuple[Segment, ...]:
    """Return the segments that the header describes, as vtkMRMLSegmentationStorageNode of 3D Slicer reads them.

    Slicer before 4.11 wrote one frame of 0 and 1 for each segment, and neither layer nor label: a segment without a
    layer is in the frame with its index, and one without a label has the label 1 there.
    """
    numbers = sorted({int(m.group(1)) for key in raw.fields if (m := _SEGMENT_FIELD.match(key))})
    frames = raw.array.shape[3] if raw.array.ndim == 4 else 1
    # Segments in the same frame are distinguished by their labels: by index if none is stated.
    one_for_all = frames == 1 and len(numbers) > 1
    segments, doubtful = [], set()
    for number in numbers:
        value = lambda key, default, n=number: raw.fields.get(f"Segment{n}_{key}", default)  # noqa: E731
        tags = value("Tags", "")
        entry = re.search(r"TerminologyEntry:([^|]*)", tags)
        label = _number(value("LabelValue", str(number + 1 if one_for_all else 1)))
        layer = _number(value("Layer", "0" if one_for_all else str(number)))
        if not {f"Segment{number}_Layer", f"Segment{number}_LabelValue"} <= set(raw.fields):
            doubtful.add((layer, label))
        name = value("Name", "") or value("ID", "") or f"Segment {number}"
        color = _color(value("Color", ""))
        segments.append(Segment(name, label, layer, color, entry.group(1) if entry else ""))
    places = [(segment.layer, segment.label) for segment in segments]
    if any(label == 0 for _layer, label in places):
        text = _("The segmentation describes a segment by the label 0, which is the background; save it in 3D Slicer.")
        raise NotASegmentation(text)
    if any(layer >= frames for layer, _label in places):
        raise NotASegmentation(_("The segmentation names a layer that is not in the file; save it again in 3D Slicer."))
    if any(places.count(place) > 1 for place in doubtful):
        raise NotASegmentation(
            _("The segmentation does not state which voxels belong to which segment; save it again in 3D Slicer.")
        )
    return tuple(segments)


def _refuse_nameless(layers: np.ndarray, segments: Sequence[Segment]) -> None:
    """Raise NotASegmentation for labels that no segment describes: another program has added them, and their meaning is
    unknown.
    """
    for number, layer in enumerate(layers):
        box = bounding_box(layer != 0)
        if box is None:
            continue
        part = layer[box]
        nameless = ~np.isin(part, [0, *(segment.label for segment in segments if segment.layer == number)])
        if nameless.any():
            text = _(
                "The segmentation file holds label {label}, which none of its segments describes ({voxels}); open it "
                "in 3D Slicer, draw what is missing, and save it again."
            )
            voxels = plural(int(np.count_nonzero(nameless)), _("{count} voxel"), _("{count} voxels"))
            raise NotASegmentation(text, label=int(part[nameless][0]), voxels=voxels)


def _number(text: str) -> int:
    if not re.fullmatch(r" *\d{1,9} *", text):
        raise NotASegmentation(_("The segmentation describes a segment without a label; save it again in 3D Slicer."))
    return int(text)


def _color(text: str) -> tuple[float, float, float]:
    """Return the color, gray for an invalid one."""
    found = re.fullmatch(r" *([\d.eE+-]{1,20}) +([\d.eE+-]{1,20}) +([\d.eE+-]{1,20}) *", text)
    try:
        red, green, blue = (min(1.0, max(0.0, float(c))) for c in found.groups())
    except (AttributeError, ValueError):
        return (0.5, 0.5, 0.5)
    return red, green, blue
