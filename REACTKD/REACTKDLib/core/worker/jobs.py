"""What a worker can be asked to do. Jobs are small and plain: arrays stay in files of the worker's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from REACTKDLib.core.cases.job import Job as ListedJob
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.volume import Unit
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _
from REACTKDLib.core.text import unpacked
from REACTKDLib.core.worker.wire import NotThatType, from_json, to_json


@dataclass(frozen=True)
class ImageFile:
    """An image in the worker's folder. file: a name of `arrays.write_slabs`. ijk_to_ras: rows.

    unit: as stated where it was loaded, None where nothing is stated. dicom: the files that it was loaded from, one for
    each slice, where that is known. remarks: findings of whoever read its file.
    """

    modality: Modality
    file: str
    ijk_to_ras: list
    unit: Unit | None
    dicom: list[str] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class MaskFile:
    """One segment, cut to its box and packed. role: liver or tumor. shape: (D, H, W) of the box. ijk_to_ras: of it.

    segment: its ID, for jobs that answer by segment. is_lesion: a tumor that is one whole lesion by its name,
    see `files.recognition.one_lesion_each`. keep_specks: lesions under 0.05 ml are graded too; the same in
    all masks of a case. sha256: of its bits, as `worker.arrays.write_mask` gives it.
    """

    role: Literal["liver", "tumor"]
    file: str
    shape: list
    ijk_to_ras: list
    segment: str = ""
    keep_specks: bool = False
    is_lesion: bool = False
    sha256: str = ""


@dataclass(frozen=True)
class Model:
    """Which model answers, and where: bundle is a folder, None the shipped one; device auto, cpu or cuda."""

    bundle: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class WarmUp:
    """Load libraries and the model, so that the first case need not wait for them. Answer: None."""

    model: Model = Model()


@dataclass(frozen=True)
class OpenFiles:
    """Read a case from files and encode it, to be found ready when its images are handed over. Answer: None."""

    files: ListedJob
    model: Model = Model()


@dataclass(frozen=True)
class GradeFiles:
    """Read a case from files and grade it; it stays open as `key`. Answer: GradeAnswer."""

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
    """Read a case from files to be shown as it is drawn. task: what is drawn. Answer: FilesRead."""

    files: ListedJob
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class SaveSegments:
    """Write segments to a .seg.nrrd, or as labels to a .nii.gz, whole or not at all. Answer: None."""

    path: Path
    segments: list[SegmentFile]


@dataclass(frozen=True)
class GradeArrays:
    """Grade a case whose images and masks were handed over; it stays open as `key`. Answer: GradeAnswer."""

    key: str
    images: list[ImageFile]
    masks: list[MaskFile]
    case_id: str
    model: Model = Model()


@dataclass(frozen=True)
class Regrade:
    """Grade the open case `key` with corrected masks; the images are not encoded again. Answer: GradeAnswer.

    new_key: what the case is held as once it has those masks, so that `key` stands for the answer before and for no
    other; empty: it stays `key`.
    """

    key: str
    masks: list[MaskFile]
    new_key: str = ""


@dataclass(frozen=True)
class WhatIf:
    """Grade the open case `key` without some regions or modalities; what it holds stays. Answer: GradeAnswer."""

    key: str
    mute: list = field(default_factory=list)
    leave_out: list[Modality] = field(default_factory=list)


@dataclass(frozen=True)
class DrawSurfaces:
    """The surfaces of the regions of the last grade of `key`. Answer: Surfaces."""

    key: str


@dataclass(frozen=True)
class Draw:
    """The voxel map of the last grade of `key`, which takes longer. Answer: Drawing."""

    key: str


@dataclass(frozen=True)
class ExportDicom:
    """Write the last grade of `key` as DICOM SEG and SR into `folder`. Answer: None.

    source: a file or folder of the series that carries the masks.
    """

    key: str
    source: Path
    folder: Path


@dataclass(frozen=True)
class CheckArrays:
    """Check a case whose images and masks were handed over, without encoding it. Answer: tuple of Finding.

    task: whose organ and lesions they are.
    """

    images: list[ImageFile]
    masks: list[MaskFile]
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class MendMasks:
    """Work out what a finding's fix would change. shape, ijk_to_ras: of the reference grid. Answer: tuple of Edit."""

    masks: list[MaskFile]
    shape: list
    ijk_to_ras: list
    code: str
    place: list | None = None
    task: Task = HCC_GRADE


@dataclass(frozen=True)
class SplitMask:
    """Work out how tumor segments fall into lesions. Answer: tuple of Edit; new segments are named as the report would.

    masks: liver and tumors, from which those names follow. segments: IDs of the tumors to split, empty for all.
    shape, ijk_to_ras: of the reference grid.
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
    """Return the names of the files that a job was handed: of its images and masks, or of segments to be saved."""
    parts = [part for name in ("images", "masks", "segments") for part in getattr(job, name, ())]
    return [part.file for part in parts if not isinstance(part, str) and part.file]  # segments to split are IDs


def parsed_line(line: bytes) -> dict[str, Any]:
    """Return a line of the worker's input: a stop of a ticket, or a ticket and a job. Raises: UsageError."""
    try:
        message = json.loads(line, object_hook=unpacked)
    except (ValueError, RecursionError) as error:
        raise _not_a_job("line") from error
    number = message.get("stop", message.get("ticket")) if isinstance(message, dict) else None
    if not isinstance(number, int):
        raise _not_a_job("ticket")
    return message


def from_message(message: Any) -> Job:
    """Return the job that `to_message` wrote. Raises: UsageError for anything else."""
    if not isinstance(message, Mapping) or str(message.get("job")) not in _KINDS:
        raise _not_a_job("job")
    try:
        return from_json(_KINDS[message["job"]], {k: v for k, v in message.items() if k != "job"}, "job", _RULES)
    except NotThatType as error:
        raise _not_a_job(error.args[0]) from error


def _not_a_job(where: str) -> UsageError:
    text = _(
        "The panel and the grading process exchanged an invalid message ('{where}'); restart 3D "
        "Slicer, and install the extension again if the error persists."
    )
    return UsageError(text, where=where)


def _is_matrix(rows: Any) -> bool:
    """Four rows of four numbers, none further from the origin than anything that is scanned, in mm."""
    rows = [row for row in rows if isinstance(row, list) and len(row) == 4]
    return len(rows) == 4 and all(isinstance(v, int | float) and abs(v) < 1e6 for row in rows for v in row)


def _is_shape(shape: Any) -> bool:
    return len(shape) == 3 and all(isinstance(n, int) and 0 <= n < 2**16 for n in shape)


def _is_plain_name(file: str) -> bool:
    """What is handed over lies in the worker's folder and nowhere else."""
    return file == Path(file).name and "\x00" not in file and file != ".."


#: what the values of a field must be, beyond their type
_RULES: dict[str, Callable[[Any], bool]] = {
    "file": _is_plain_name,
    "shape": _is_shape,
    "ijk_to_ras": _is_matrix,
    "place": lambda value: len(value) == 3 and all(isinstance(v, int | float) for v in value),
    "mute": lambda value: all(isinstance(v, int | str) for v in value),
}
