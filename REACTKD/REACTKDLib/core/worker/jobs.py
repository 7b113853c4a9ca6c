"""What a worker can be asked to do. Jobs are small and plain: arrays stay in files of the worker's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImageFile:
    """An image in the worker's folder. file: a name of `arrays.write_slabs`. ijk_to_ras: rows.

    unit: of `Unit` as stated where it was loaded, None where nothing is stated. dicom: the files that it was loaded
    from, one for each slice, where that is known.
    """

    modality: str
    file: str
    ijk_to_ras: list
    unit: str | None
    dicom: list = field(default_factory=list)


@dataclass(frozen=True)
class MaskFile:
    """One segment, cut to its box and packed. role: liver or tumor. shape: (D, H, W) of the box. ijk_to_ras: of it."""

    role: str
    file: str
    shape: list
    ijk_to_ras: list


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
class CaseFiles:
    """A case by its files, as `core.open_case.open_case` takes them. case_id: for the report, free of patient data."""

    ct: str | None = None
    fdg: str | None = None
    acetate: str | None = None
    segmentation: str | None = None
    liver: list | None = None
    tumor: list | None = None
    case_id: str | None = None


@dataclass(frozen=True)
class OpenFiles:
    """Read a case from files and encode it, to be found ready when its images are handed over. Answer: None."""

    files: CaseFiles
    model: Model = Model()


@dataclass(frozen=True)
class GradeFiles:
    """Read a case from files and grade it; it stays open as `key`. Answer: GradeAnswer."""

    key: str
    files: CaseFiles
    model: Model = Model()


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
    """Grade the open case `key` with corrected masks; the images are not encoded again. Answer: GradeAnswer."""

    key: str
    masks: list[MaskFile]


@dataclass(frozen=True)
class WhatIf:
    """Grade the open case `key` without some regions or modalities; what it holds stays. Answer: GradeAnswer."""

    key: str
    mute: list = field(default_factory=list)
    leave_out: list = field(default_factory=list)


@dataclass(frozen=True)
class Draw:
    """Voxel map, surfaces and uptake of the last grade of `key`. Answer: Drawing."""

    key: str


Job = WarmUp | OpenFiles | GradeFiles | GradeArrays | Regrade | WhatIf | Draw
_KINDS = {kind.__name__: kind for kind in (WarmUp, OpenFiles, GradeFiles, GradeArrays, Regrade, WhatIf, Draw)}


def to_message(job: Job) -> dict[str, Any]:
    """Return the JSON form of a job."""
    return {"job": type(job).__name__, **asdict(job)}


def from_message(message: Mapping[str, Any]) -> Job:
    """Return the job that `to_message` wrote. Raises: KeyError, TypeError for anything else."""
    fields = dict(message)
    kind = _KINDS[fields.pop("job")]
    for name, part in (("model", Model), ("files", CaseFiles)):
        if name in fields:
            fields[name] = part(**fields[name])
    for name, part in (("images", ImageFile), ("masks", MaskFile)):
        if name in fields:
            fields[name] = [part(**entry) for entry in fields[name]]
    return kind(**fields)
