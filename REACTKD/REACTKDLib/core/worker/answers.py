"""Answers of the worker: put into files and a small message on one side, and read back on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from REACTKDLib.core.findings import Finding, finding_from
from REACTKDLib.core.masks.regions import Region, RegionSet
from REACTKDLib.core.masks.surface import Surface
from REACTKDLib.core.masks.uptake import RegionUptake, uptake_from
from REACTKDLib.core.reports.report import GradeReport
from REACTKDLib.core.worker.arrays import laid_out, map_array, take_arrays, write_array, write_arrays
from REACTKDLib.core.worker.files_read import FilesRead, files_from
from REACTKDLib.core.worker.mending import Edit, edits_from

if TYPE_CHECKING:
    from REACTKDLib.core.grading.grade_result import GradeResult
    from REACTKDLib.core.images.case import Case

NewName = Callable[[], str]


@dataclass(frozen=True, eq=False)
class GradeAnswer:
    """One grade. report: with every finding, on masks and images too. encoder_calls: images encoded for this answer.

    key: of the open case. read_anew: False when the images were found encoded already.
    """

    key: str
    report: GradeReport
    encoder_calls: int
    read_anew: bool
    _regions: Mapping[str, Any]
    _labels: np.ndarray

    @cached_property
    def regions(self) -> RegionSet:
        """The regions of the report, on the reference grid."""
        for _ in self.regions_steps():
            pass
        return self.__dict__["regions"]

    def regions_steps(self) -> Iterator[None]:
        """Make `regions` in steps of about a hundredth of a second, for a caller whose window must not be silent."""
        box, shape = _slices(self._regions["box"]), tuple(self._regions["shape"])
        labels = yield from laid_out(self._labels, box, shape, np.uint16)
        regions = tuple(
            Region(**{**entry, "box": _slices(entry["box"]), "centroid_ras": tuple(entry["centroid_ras"])})
            for entry in self._regions["regions"]
        )
        self.__dict__["regions"] = RegionSet(labels, np.array(self._regions["ijk_to_ras"]), regions)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn of a grade. voxel_map: float32 (d, h, w), 0 to 1, of `box` on the reference grid, 0 outside it.

    scale: what 1 stands for, logits per ml. surfaces: by the region's label. uptake: see `core.masks.uptake.uptake_of`.
    """

    key: str
    box: tuple[slice, slice, slice]
    voxel_map: np.ndarray
    scale: float
    surfaces: Mapping[int, Surface]
    uptake: Mapping[str, tuple[RegionUptake | None, ...]]


def grade_message(
    result: GradeResult, key: str, folder: Path, new_name: NewName, calls: int, read_anew: bool
) -> dict[str, Any]:
    """Write what a `GradeAnswer` needs and return its message."""
    regions, name = result.regions, new_name()
    box = regions.box
    labels = regions.labels[box]
    write_array(folder / name, labels.astype(np.uint8) if len(regions.regions) < 255 else labels)
    return {
        "kind": "grade",
        "key": key,
        "report": result.report.to_dict(),
        "encoder_calls": calls,
        "read_anew": read_anew,
        "regions": {
            "file": name,
            "box": _pairs(box),
            "shape": list(regions.labels.shape),
            "ijk_to_ras": regions.ijk_to_ras.tolist(),
            "regions": [{**asdict(region), "box": _pairs(region.box)} for region in regions.regions],
        },
    }


def drawing_message(
    result: GradeResult, case: Case, key: str, folder: Path, new_name: NewName, check: Callable[[], None]
) -> dict[str, Any]:
    """Write what a `Drawing` needs and return its message; `check` is called between its parts and may raise."""
    from REACTKDLib.core.masks.surface import surface_of
    from REACTKDLib.core.masks.uptake import uptake_of

    box, name, map_name = result.regions.box, new_name(), new_name()
    write_array(folder / map_name, np.ascontiguousarray(result.voxel_map.array[box], dtype=np.float32))
    arrays = {}
    for region in result.regions.regions:
        check()
        surface = surface_of(result.regions, region)
        arrays |= {f"{part}_{region.label}": getattr(surface, part) for part in ("points", "triangles", "normals")}
    check()
    uptake = {
        modality: [None if entry is None else asdict(entry) for entry in entries]
        for modality, entries in uptake_of(case, result.regions).items()
    }
    write_arrays(folder / name, arrays)
    return {
        "kind": "drawing",
        "key": key,
        "file": name,
        "map": map_name,
        "box": _pairs(box),
        "scale": result.voxel_map_scale,
        "labels": [region.label for region in result.regions.regions],
        "uptake": uptake,
    }


Answer = GradeAnswer | Drawing | FilesRead | tuple[Edit, ...] | tuple[Finding, ...]


def findings_message(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the message of findings alone."""
    return {"kind": "findings", "findings": [finding.to_dict() for finding in findings]}


def answer_from(message: Mapping[str, Any] | None, folder: Path) -> Answer | None:
    """Return the answer that a message describes; its files are read, the large ones as they are used, and removed.

    Raises: KeyError, TypeError, ValueError, OSError for a broken one.
    """
    if message is None:
        return None
    if message["kind"] == "grade":
        report, regions = GradeReport.from_dict(message["report"]), message["regions"]
        labels = map_array(folder / regions["file"])
        return GradeAnswer(message["key"], report, message["encoder_calls"], message["read_anew"], regions, labels)
    if message["kind"] == "drawing":
        arrays = take_arrays(folder / message["file"])
        surfaces = {
            label: Surface(arrays[f"points_{label}"], arrays[f"triangles_{label}"], arrays[f"normals_{label}"])
            for label in message["labels"]
        }
        box, scale, uptake = _slices(message["box"]), float(message["scale"]), uptake_from(message["uptake"])
        return Drawing(message["key"], box, map_array(folder / message["map"]), scale, surfaces, uptake)
    if message["kind"] == "findings":
        return tuple(finding_from(entry) for entry in message["findings"])
    if message["kind"] == "edits":
        return edits_from(message, folder)
    if message["kind"] == "files":
        return files_from(message, folder)
    raise ValueError(f"There is no answer of the kind {message['kind']}.")


def mapped_files(message: Mapping[str, Any] | None) -> list[str]:
    """Return the names of files that an answer reads as it is used, and that may still be there."""
    kind = message["kind"] if message is not None else None
    return [message["map"]] if kind == "drawing" else [message["regions"]["file"]] if kind == "grade" else []


def _pairs(box: tuple[slice, ...]) -> list[list[int]]:
    return [[int(part.start), int(part.stop)] for part in box]


def _slices(pairs: Any) -> tuple[slice, slice, slice]:
    return tuple(slice(start, stop) for start, stop in pairs)
