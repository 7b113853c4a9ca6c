"""Finds the DICOM SEG objects of a file or folder, and merges several into one segmentation if they do not conflict.

Archives store each rater's, each version's and often each structure's segments as a separate object, many under one
SeriesInstanceUID. The user must choose between versions; liver and tumor in two objects are one case.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from REACTKDLib.core.errors import AmbiguousSeries, NotASegmentation
from REACTKDLib.core.files.dicom.header import items, number, text
from REACTKDLib.core.files.dicom.index import index_folder
from REACTKDLib.core.files.dicom.opened import opened
from REACTKDLib.core.files.dicom.origin import TAGS, Origin, origin_of
from REACTKDLib.core.files.dicom.packages import need_pydicom
from REACTKDLib.core.files.dicom.patient import compare
from REACTKDLib.core.files.dicom.segmentation import read_dicom_segmentation
from REACTKDLib.core.files.dicom.series import find_series
from REACTKDLib.core.files.recognition import recognize_code, recognize_name
from REACTKDLib.core.files.segmentation_writer import pack_layers
from REACTKDLib.core.files.segments import Segment, Segmentation
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.modality import SEGMENTATION_ROLE
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import quoted
from REACTKDLib.core.text import tr as _

_TITLE_LENGTH = 80
_SAME_AXES = 1e-4  # tolerance of the direction cosines times the spacing, mm
_SAME_PLANE = 0.05  # of a voxel
_TAGS = (
    *TAGS, "SOPInstanceUID", "InstanceNumber", "ContentLabel", "SeriesDescription", "ContentDate", "ContentTime",
    "SegmentSequence",
)  # fmt: skip


@dataclass(frozen=True)
class SegObject:
    """One SEG object. title: for the user to choose by, without the patient. origin: see `Origin`."""

    path: Path
    title: str
    origin: Origin


def segmentation_objects(source: str | os.PathLike) -> tuple[SegObject, ...]:
    """Return the SEG of a file, or all SEGs of a series in a folder: see `read_objects`.

    Raises: FileMissing; NotAnImage if a folder contains none; PackagesMissing.
    """
    source = Path(source)
    if not os.path.isdir(source):
        return (_object(source),)
    found = [piece for series in index_folder(source).of_modality("SEG") for piece in series.slices]
    if not found:
        find_series(source, "SEG", SEGMENTATION_ROLE)  # raises, and lists what is there
    unique = {piece.uid or piece.path: piece for piece in found}  # a copy of the same object does not count
    return tuple(_object(Path(piece.path)) for piece in sorted(unique.values(), key=lambda piece: piece.path))


def read_objects(objects: Sequence[SegObject], task: Task = HCC_GRADE) -> Segmentation:
    """Read a single object, or all as one segmentation if they belong together and do not conflict.

    They conflict if two contain a liver, two a tumor (organ and lesions of the task), or two a segment of the same
    name: one is then another version, or another rater's.

    Raises: AmbiguousSeries, which lists the choices; and what `read_dicom_segmentation` raises.
    """
    if len(objects) == 1:
        return read_dicom_segmentation(objects[0].path)
    titles = quoted(thing.title for thing in objects)
    if any(_do_not_belong_together(a.origin, b.origin) for a, b in combinations(objects, 2)):
        message = _(
            "The folder given for the segmentation holds {count} segmentations that were not drawn "
            "on one series: {titles}; give the file of one."
        )
        raise AmbiguousSeries(message, count=len(objects), titles=titles)
    files = [read_dicom_segmentation(thing.path) for thing in objects]
    if _clash(files, task):
        message = _(
            "The folder given for the segmentation holds {count} segmentations of the same "
            "structures: {titles}; give the file of the one that counts."
        )
        raise AmbiguousSeries(message, count=len(objects), titles=titles)
    message = _("The segmentation was combined from {count} DICOM objects: {titles}.")
    return _joined(
        files, Finding("segmentation-of-several-objects", "info", message, count=len(objects), titles=titles)
    )


def _object(path: Path) -> SegObject:
    header = _header(path, list(_TAGS))
    origin = origin_of(header, SEGMENTATION_ROLE)
    if not origin.referenced:
        origin = origin_of(header, SEGMENTATION_ROLE, sources=_sources(path))
    return SegObject(path, _title(header), origin)


def _header(path: Path, tags: list[str] | None) -> Any:
    try:
        return opened(path, stop_before_pixels=True, specific_tags=tags)
    except Exception:  # `read_dicom_segmentation` reports the fault
        return need_pydicom().Dataset()


def _sources(path: Path) -> set[str]:
    """Return the images that an object references anywhere, for one that references no series."""
    found: set[str] = set()

    def look(_dataset: Any, element: Any) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and element.value:
            found.add(str(element.value))

    try:
        _header(path, None).walk(look)
    except Exception:  # an element that cannot be decoded: unknown
        return set()
    return found


def _title(header: Any) -> str:
    name = text(header, "SeriesDescription") or text(header, "ContentLabel") or _("without a name")
    instance, day = number(header, "InstanceNumber"), text(header, "ContentDate")
    labels = ", ".join(text(item, "SegmentLabel") or "?" for item in items(header, "SegmentSequence"))
    numbered = "" if instance is None else f" {instance:g}"
    title = f"{name}{numbered}: {labels or 'no segment'}"
    dated = f" ({day} {text(header, 'ContentTime')[:6]})".replace(" )", ")") if day else ""
    return (title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 3] + "...") + dated


def _do_not_belong_together(a: Origin, b: Origin) -> bool:
    if compare(a.patient, b.patient) == "different" or (a.frame and b.frame and a.frame != b.frame):
        return True
    return bool(a.referenced and b.referenced and not set(a.referenced) & set(b.referenced))


def _clash(files: Sequence[Segmentation], task: Task) -> bool:
    seen: Counter[str] = Counter()
    for file in files:
        seen.update({mark for segment in file.segments for mark in _marks(segment, task)})
    return any(count > 1 for count in seen.values())


def _marks(segment: Segment, task: Task) -> Iterator[str]:
    """Yield the identity of a segment, by code and by name; also its exact name."""
    candidate = segment.candidate
    yield f"name {segment.name.strip().casefold()}"
    coded = recognize_code(candidate.type_code, candidate.region_code, task).kind
    for kind in {coded, recognize_name(segment.name, task)}:
        if kind is not None:
            yield f"kind {kind}"


def _joined(files: Sequence[Segmentation], finding: Finding) -> Segmentation:
    """Return all segments on one grid that contains the planes of every file. Raises: NotASegmentation."""
    matrix = files[0].ijk_to_ras
    corners = []
    for file in files:
        shift = np.linalg.inv(matrix) @ file.ijk_to_ras
        corner = np.rint(shift[:3, 3])
        same = np.allclose(file.ijk_to_ras[:3, :3], matrix[:3, :3], atol=_SAME_AXES)
        if not same or np.abs(shift[:3, 3] - corner).max() > _SAME_PLANE:
            raise NotASegmentation(
                _(
                    "The DICOM segmentations in the folder lie on grids that do not match; give one file, "
                    "or put them together in 3D Slicer and save them as .seg.nrrd."
                )
            )
        corners.append(corner.astype(int)[::-1])
    low = np.min(corners, axis=0)
    high = np.max([corner + file.layers.shape[1:] for corner, file in zip(corners, files)], axis=0)

    def masks() -> Iterator[np.ndarray]:
        for corner, file in zip(corners, files):
            box = tuple(slice(a, a + n) for a, n in zip(corner - low, file.layers.shape[1:]))
            for index in range(len(file.segments)):
                whole = np.zeros(high - low, dtype=bool)
                whole[box] = file.mask([index])
                yield whole

    layers, places = pack_layers(masks())
    placed = matrix.copy()
    placed[:3, 3] += matrix[:3, :3] @ low[::-1]
    old = [segment for file in files for segment in file.segments]
    segments = tuple(
        Segment(segment.name, label, layer, segment.color, segment.terminology)
        for segment, (layer, label) in zip(old, places, strict=True)
    )
    findings = (finding, *(found for file in files for found in file.findings))
    return Segmentation(layers, placed, segments, findings)
