"""The jobs of a worker. They are small and plain: arrays are in files of the worker's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from REACTKDLib.core.cases.job import Job as ListedJob
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.json_once import parse_json
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.text import unpacked
from REACTKDLib.core.worker.wire import WrongType, from_json, to_json


@dataclass(frozen=True)
class ImageFile:
    """An image in the worker's folder. file: a name of `arrays.write_slabs`. ijk_to_ras: rows.

    unit: as stated in the scene, None if none is stated. dicom: the files from which it was loaded, one for each slice,
    if known. remarks: findings of the reader of its file. sha256: of its voxels, if the sender keeps it.
    """

    modality: Modality
    file: str
    ijk_to_ras: list
    unit: Unit | None
    dicom: list[str] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    sha256: str = ""


@dataclass(frozen=True)
class MaskFile:
    """One segment, cut to its box and packed. role: liver or tumor. shape: (D, H, W) of the box. ijk_to_ras: of it.

    file: "" for a segment without a voxel. segment: its ID, for jobs that answer by segment. is_lesion: a tumor that is
    one whole lesion by its name, see `files.recognition.one_lesion_each`. keep_specks: lesions under 0.05 ml are graded
    too; the same in all masks of a case. sha256: of its bits, as `worker.arrays.write_mask` gives it. name: of the
    segment, for findings.
    """

    role: Literal["liver", "tumor"]
    file: str
    shape: list
    ijk_to_ras: list
    segment: str = ""
    keep_specks: bool = False
    is_lesion: bool = False
    sha256: str = ""
    name: str = ""


@dataclass(frozen=True)
class Model:
    """The model and its device: bundle is a folder, None for the shipped one; device auto, cpu or cuda."""

    bundle: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class WarmUp:
    """Load libraries and the model in advance. Reply: None."""

    model: Model = Model()


@dataclass(frozen=True)
class OpenFiles:
    """Read a case from files and encode it in advance. Reply: None."""

    files: ListedJob
    model: Model = Model()


@dataclass(frozen=True)
class GradeFiles:
    """Read a case from files and grade it; it stays open as `key`. Reply: GradeAnswer."""

    key: str
    files: ListedJob
    model: Model = Model()


@dataclass(frozen=True)
class SegmentFile:
    """A segment as drawn, cut to its box and packed. shape: (D, H, W) of the box. ijk_to_ras: of it."""

    name: str
    color: list
    terminology: str
    file: str
    shape: list
    ijk_to_ras: list


@dataclass(frozen=True)
class ReadFiles:
    """Read a case from files for display. task: defines organ and lesions. Reply: FilesRead."""

    files: ListedJob
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class SaveSegments:
    """Write segments to a .seg.nrrd, or as labels to a .nii.gz, atomically. Reply: None."""

    path: Path
    segments: list[SegmentFile]


@dataclass(frozen=True)
class GradeArrays:
    """Grade a case whose images and masks were handed over; it stays open as `key`. Reply: GradeAnswer."""

    key: str
    images: list[ImageFile]
    masks: list[MaskFile]
    case_id: str
    model: Model = Model()


@dataclass(frozen=True)
class Regrade:
    """Grade the open case `key` with corrected masks; the images are not encoded again. Reply: GradeAnswer.

    new_key: the key of the case once it has those masks, so that `key` refers only to the former result; empty: `key`
    is kept.
    """

    key: str
    masks: list[MaskFile]
    new_key: str = ""


@dataclass(frozen=True)
class WhatIf:
    """Grade the open case `key` without some regions or modalities; the case is not changed. Reply: GradeAnswer."""

    key: str
    mute: list = field(default_factory=list)
    leave_out: list[Modality] = field(default_factory=list)


@dataclass(frozen=True)
class DrawSurfaces:
    """Return the surfaces of the regions of the last grade of `key`. Reply: Surfaces."""

    key: str


@dataclass(frozen=True)
class Draw:
    """Return the voxel map of the last grade of `key`, which takes longer. Reply: Drawing."""

    key: str


@dataclass(frozen=True)
class ExportDicom:
    """Write the last grade of `key` as DICOM SEG and SR into `folder`. Reply: None.

    source: a file or folder of the series that carries the masks.
    """

    key: str
    source: Path
    folder: Path


@dataclass(frozen=True)
class CheckArrays:
    """Check a case whose images and masks were handed over, without encoding it. Reply: tuple of Finding.

    task: defines organ and lesions.
    """

    images: list[ImageFile]
    masks: list[MaskFile]
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class MendMasks:
    """Compute the changes of a finding's fix. shape, ijk_to_ras: of the reference grid. Reply: tuple of Edit."""

    masks: list[MaskFile]
    shape: list
    ijk_to_ras: list
    code: str
    place: list | None = None
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class SplitMask:
    """Compute how tumor segments split into lesions. Reply: tuple of Edit; new segments are named as in the report.

    masks: liver and tumors, which determine those names. segments: IDs of the tumors to split, empty for all. shape,
    ijk_to_ras: of the reference grid.
    """

    masks: list[MaskFile]
    shape: list
    ijk_to_ras: list
    segments: list[str] = field(default_factory=list)
    task: Task = HCC_GRADE


Job = (
    WarmUp | OpenFiles | GradeFiles | ReadFiles | SaveSegments | GradeArrays | Regrade | WhatIf | DrawSurfaces | Draw
    | CheckArrays
    | MendMasks | SplitMask | ExportDicom
)  # fmt: skip
_KINDS = {kind.__name__: kind for kind in get_args(Job)}


def to_message(job: Job) -> dict[str, Any]:
    """Return the JSON form of a job."""
    return {"job": type(job).__name__, **to_json(job)}


def handed_over(job: Job) -> list[str]:
    """Return the names of the files handed over with a job: of images and masks, or of segments to save."""
    parts = [part for name in ("images", "masks", "segments") for part in getattr(job, name, ())]
    return [part.file for part in parts if not isinstance(part, str) and part.file]  # segments to split are IDs


def parsed_line(line: bytes) -> dict[str, Any]:
    """Return a parsed input line of the worker: a cancel with a ticket, or a job with a ticket. Raises: UsageError."""
    try:
        message = parse_json(line, object_hook=unpacked)
    except (ValueError, RecursionError) as error:
        raise _not_a_job("line") from error
    number = message.get("stop", message.get("ticket")) if isinstance(message, dict) else None
    if not isinstance(number, int):
        raise _not_a_job("ticket")
    return message


def from_message(message: Any) -> Job:
    """Return the job from the form of `to_message`. Raises: UsageError for anything else."""
    if not isinstance(message, Mapping) or str(message.get("job")) not in _KINDS:
        raise _not_a_job("job")
    try:
        return from_json(_KINDS[message["job"]], {k: v for k, v in message.items() if k != "job"}, "job", _RULES)
    except WrongType as error:
        raise _not_a_job(error.args[0]) from error


def _not_a_job(where: str) -> UsageError:
    text = _(
        "The panel and the grading process exchanged an invalid message ('{where}'); restart 3D "
        "Slicer, and install the extension again if the error persists."
    )
    return UsageError(text, where=where)


def _is_matrix(rows: Any) -> bool:
    """Return True for four rows of four plausible numbers, in mm."""
    rows = [row for row in rows if isinstance(row, list) and len(row) == 4]
    return len(rows) == 4 and all(isinstance(v, int | float) and abs(v) < 1e6 for row in rows for v in row)


def _is_shape(shape: Any) -> bool:
    return len(shape) == 3 and all(isinstance(n, int) and 0 <= n < 2**16 for n in shape)


def _is_plain_name(file: str) -> bool:
    """Return True for a name inside the worker's folder."""
    return file == Path(file).name and "\x00" not in file and file != ".."


#: requirements on the values of a field, beyond their type
_RULES: dict[str, Callable[[Any], bool]] = {
    "file": _is_plain_name,
    "shape": _is_shape,
    "ijk_to_ras": _is_matrix,
    "place": lambda value: len(value) == 3 and all(isinstance(v, int | float) for v in value),
    "mute": lambda value: all(isinstance(v, int | str) for v in value),
}
