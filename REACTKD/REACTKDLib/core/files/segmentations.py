"""Segmentations to and from files: `.seg.nrrd` with named segments, and label maps of any image format.

A `.seg.nrrd` is an NRRD whose text fields describe the segments (`Segment0_Name`, `Segment0_LabelValue`,
`Segment0_Layer`, `Segment0_Tags` with a terminology entry). Segments that overlap lie in different layers, a list axis
before the three of space. Format: 3D Slicer, vtkMRMLSegmentationStorageNode.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from REACTKDLib.core.errors import EmptySegmentation, NotASegmentation, UsageError
from REACTKDLib.core.files.label_values import whole_labels
from REACTKDLib.core.files.recognition import Candidate, Code, Kind
from REACTKDLib.core.files.volumes import GZIP_LEVEL, LPS_TO_RAS, RawImage, read_raw, suffix_of
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.modality import SEGMENTATION_ROLE
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import plural
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.writing.atomic import checked_stream, written_beside

MOST_LABELS = 1000  # TotalSegmentator has 117; a picture given as a label map has thousands
_CATEGORY = {
    "liver": ("SCT", "123037004", "Anatomical Structure"),
    "tumor": ("SCT", "49755003", "Morphologically Altered Structure"),
}
COLORS = {"liver": (0.87, 0.51, 0.40), "tumor": (0.57, 0.93, 0.57)}
_NOTHING = ("", "", "")
_NRRD_NAMES = {1: "char", 2: "short", 4: "int"}  # by bytes
_SEGMENT_FIELD = re.compile(r"Segment(\d{1,6})_(Name|ID|LabelValue|Layer)$")


@dataclass(frozen=True)
class Segment:
    """One segment: its name, where it is stored (layer, label value), color 0..1, and terminology codes."""

    name: str
    label: int
    layer: int = 0
    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    terminology: str = ""

    @property
    def candidate(self) -> Candidate:
        """The segment as something to choose from."""
        type_code, region_code = terminology_codes(self.terminology)
        return Candidate(str(self.label), self.name, type_code, region_code)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """layers: (L, D, H, W) integers. ijk_to_ras: (4, 4), mm. segments: those of the file, in order, empty ones too.

    findings, other_places: see `files.volumes.RawImage`.
    """

    layers: np.ndarray
    ijk_to_ras: np.ndarray
    segments: tuple[Segment, ...] = field(default_factory=tuple)
    findings: tuple[Finding, ...] = ()
    other_places: tuple[np.ndarray, ...] = ()

    @property
    def grid(self) -> Grid:
        """The grid of every layer."""
        return Grid(tuple(self.layers.shape[1:]), self.ijk_to_ras)

    def mask(self, indices: Sequence[int]) -> np.ndarray:
        """Return the union of the segments as bool (D, H, W)."""
        mask = np.zeros(self.layers.shape[1:], dtype=bool)
        for index in indices:
            segment = self.segments[index]
            mask |= self.layers[segment.layer] == segment.label
        return mask


@dataclass(frozen=True, eq=False)
class PlacedMask:
    """A segment where it was drawn. mask: bool (D, H, W), cut to any box, (0, 0, 0) for none. ijk_to_ras: of it, mm.

    color: 0..1. terminology: Slicer's text of it.
    """

    name: str
    mask: np.ndarray
    ijk_to_ras: np.ndarray
    color: tuple[float, float, float]
    terminology: str = ""


def read_segmentation(path: str | os.PathLike, task: Task = HCC_GRADE) -> Segmentation:
    """Read a `.seg.nrrd`, or a label map whose segments are then named "label 1", "label 5" and so on.

    Raises: EmptySegmentation without a single labeled voxel; NotASegmentation for values that are not labels; and what
    `files.volumes.read_raw` raises.
    """
    return segmentation_of(read_raw(path, SEGMENTATION_ROLE), task)


def segmentation_of(raw: RawImage, task: Task = HCC_GRADE) -> Segmentation:
    """Return an image of labels as a segmentation. Raises: EmptySegmentation, NotASegmentation, see there."""
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


def write_segmentation(
    masks: Sequence[tuple[str, Kind, np.ndarray]],
    ijk_to_ras: np.ndarray,
    path: str | os.PathLike,
    task: Task = HCC_GRADE,
) -> Path:
    """Write named masks as a `.seg.nrrd` that 3D Slicer opens with names, colors and terminology codes.

    masks: (name, kind, bool (D, H, W)); masks that overlap go to layers of their own, so nothing is cut.

    Raises: UsageError for another suffix, OutputNotWritable.
    """
    placed = [PlacedMask(n, mask, ijk_to_ras, COLORS[kind], terminology_entry(kind, task)) for n, kind, mask in masks]
    return write_segments(placed, path)


def write_segments(masks: Sequence[PlacedMask], path: str | os.PathLike) -> Path:
    """Write masks of one grid with colors and terminology of their own; otherwise, and Raises: `write_segmentation`."""
    if suffix_of(path) != ".seg.nrrd":
        raise UsageError(_("A segmentation is written as .seg.nrrd; choose a file name that ends so."))
    layers, places = pack_layers([entry.mask for entry in masks])
    segments = [
        Segment(entry.name, label, layer, entry.color, entry.terminology)
        for entry, (layer, label) in zip(masks, places, strict=True)
    ]
    header = _header(layers, masks[0].ijk_to_ras, segments)
    with written_beside(path) as beside:
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)  # 31: with a gzip frame, without a time
        voxels = np.moveaxis(layers, 0, -1) if len(layers) > 1 else layers[0]
        with checked_stream(beside) as stream:
            stream.write(header.encode("utf-8"))
            stream.write(packer.compress(np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<")).data))
            stream.write(packer.flush())
    return Path(path)


def terminology_entry(kind: Kind, task: Task = HCC_GRADE) -> str:
    """Return Slicer's text for the code of the task's organ, or of a lesion in it."""
    organ, lesion = ((code.scheme, code.value, code.meaning) for code in (task.organ.code, task.lesion.code))
    region = _NOTHING if kind == "liver" else organ
    parts = [
        "Segmentation category and type - 3D Slicer General Anatomy list",
        *("^".join(p) for p in (_CATEGORY[kind], organ if kind == "liver" else lesion, _NOTHING)),
        "Anatomic codes - DICOM master list",
        *("^".join(p) for p in (region, _NOTHING)),
    ]
    return "~".join(parts)


def terminology_codes(entry: str) -> tuple[Code, Code]:
    """Return the (scheme, value) of type and region in Slicer's text of a terminology entry; ("", "") where absent."""
    parts = [part.split("^") for part in entry.split("~")]
    codes = [(part[0], part[1]) if len(part) >= 2 else ("", "") for part in parts]
    return (codes[2] if len(codes) > 2 else ("", "")), (codes[5] if len(codes) > 5 else ("", ""))


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

    Slicer before 4.11 wrote a frame for each segment, with 0 and 1, and neither layer nor label: without a layer a
    segment lies in the frame of its own number, without a label it is 1 there.
    """
    numbers = sorted({int(m.group(1)) for key in raw.fields if (m := _SEGMENT_FIELD.match(key))})
    frames = raw.array.shape[3] if raw.array.ndim == 4 else 1
    # One frame that several segments share can only tell them by label: by number where none is stated.
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
    """Raise NotASegmentation for labels that no segment describes: another program has drawn them, and what they are is
    not known.
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
    """Return the color, gray for what is none."""
    found = re.fullmatch(r" *([\d.eE+-]{1,20}) +([\d.eE+-]{1,20}) +([\d.eE+-]{1,20}) *", text)
    try:
        red, green, blue = (min(1.0, max(0.0, float(c))) for c in found.groups())
    except (AttributeError, ValueError):
        return (0.5, 0.5, 0.5)
    return red, green, blue


def pack_layers(masks: Iterable[np.ndarray]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the masks in as few layers (L, D, H, W) as hold them without overlap, and (layer, label) of each.

    Labels are 1, 2, ... in the order of the masks; layers are uint8, uint16 where there are more than 255 masks.
    """
    layers: list[np.ndarray] = []
    places: list[tuple[int, int]] = []
    for label, mask in enumerate(masks, start=1):  # unique over all layers, so that a label names one segment
        mask = np.asarray(mask, dtype=bool)
        dtype = np.min_scalar_type(label)  # how many masks there are is known at the end only
        if layers and layers[0].dtype != dtype:
            layers = [layer.astype(dtype) for layer in layers]
        home = next((n for n, layer in enumerate(layers) if not (layer[mask] != 0).any()), None)
        if home is None:
            home = len(layers)
            layers.append(np.zeros(mask.shape, dtype=dtype))
        layers[home][mask] = label
        places.append((home, label))
    return np.stack(layers), places


def _header(layers: np.ndarray, ijk_to_ras: np.ndarray, segments: Sequence[Segment]) -> str:
    count, shape = len(layers), layers.shape[1:]
    lps = LPS_TO_RAS @ ijk_to_ras
    axes = " ".join("(" + ",".join(repr(float(v)) for v in lps[:3, n]) + ")" for n in range(3))
    several = count > 1
    size = " ".join(str(n) for n in ([count] if several else []) + list(shape[::-1]))
    lines = [
        "NRRD0004",
        f"type: unsigned {_NRRD_NAMES[layers.itemsize]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        f"sizes: {size}",
        f"space directions: {'none ' if several else ''}{axes}",
        f"kinds: {'list ' if several else ''}domain domain domain",
        *(["endian: little"] if layers.itemsize > 1 else []),
        "encoding: gzip",
        "space origin: (" + ",".join(repr(float(v)) for v in lps[:3, 3]) + ")",
    ]
    names = [segment.name for segment in segments]
    for number, segment in enumerate(segments):
        own_id = segment.name if names.count(segment.name) == 1 else f"{segment.name}_{number}"
        box = _extent(layers[segment.layer] == segment.label)
        color = " ".join(f"{c:g}" for c in segment.color)
        values = {
            "Color": color,
            "ColorAutoGenerated": "0",
            "Extent": " ".join(str(v) for v in box),
            "ID": own_id,
            "LabelValue": segment.label,
            "Layer": segment.layer,
            "Name": segment.name,
            "NameAutoGenerated": "0",
            "Tags": f"Segmentation.Status:inprogress|TerminologyEntry:{segment.terminology}|",
        }
        lines += [f"Segment{number}_{key}:={_escaped(str(value))}" for key, value in values.items()]
    lines += [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    return "\n".join(lines) + "\n\n"


def _escaped(value: str) -> str:
    """Return a value as NRRD writes it on one line; `formats.nrrd` reads it back."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _extent(mask: np.ndarray) -> tuple[int, ...]:
    """Return (i0, i1, j0, j1, k0, k1), inclusive; an empty mask gives Slicer's empty extent."""
    extent: list[int] = []
    for axis in (2, 1, 0):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        extent += [int(used[0]), int(used[-1])] if used.size else [0, -1]
    return tuple(extent)
