"""What a worker can be asked to do. Jobs are small and plain: arrays stay in files of the worker's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from REACTKDLib.core.case import Modality
from REACTKDLib.core.worklist import Job as ListedJob


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
    """One segment, cut to its box and packed. role: liver or tumor. shape: (D, H, W) of the box. ijk_to_ras: of it.

    segment: its ID, for jobs that answer by segment.
    """

    role: str
    file: str
    shape: list
    ijk_to_ras: list
    segment: str = ""


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
    """A case by its files, as `core.open_job.open_job` takes them. case_id: for the report, free of patient data.

    liver_mask, tumor_mask: label files of their own, in place of a segmentation.
    """

    ct: str | None = None
    fdg: str | None = None
    acetate: str | None = None
    segmentation: str | None = None
    liver: list | None = None
    tumor: list | None = None
    case_id: str | None = None
    liver_mask: str | None = None
    tumor_mask: str | None = None

    @classmethod
    def of(cls, job: ListedJob) -> CaseFiles:
        """The files of a worklist's job."""
        texts = {modality.value: str(path) for modality, path in job.images.items()}
        if job.segmentation is not None:
            texts["segmentation"] = str(job.segmentation)
        if job.mask_files is not None:
            texts["liver_mask"], texts["tumor_mask"] = map(str, job.mask_files)
        names = {"liver": job.liver, "tumor": job.tumor}
        return cls(**texts, **{k: None if v is None else list(v) for k, v in names.items()}, case_id=job.case)

    def job(self) -> ListedJob:
        """What `of` was given."""
        images = {m: Path(path) for m in Modality if (path := getattr(self, m.value)) is not None}
        segmentation = None if self.segmentation is None else Path(self.segmentation)
        names = [None if v is None else tuple(v) for v in (self.liver, self.tumor)]
        masks = (self.liver_mask, self.tumor_mask)
        pair = (Path(masks[0]), Path(masks[1])) if all(masks) else None
        return ListedJob(self.case_id or "case", images, segmentation, *names, pair)


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
    """Read a case from files to be shown as it is drawn. Answer: FilesRead."""

    files: CaseFiles


@dataclass(frozen=True)
class SaveSegments:
    """Write segments to a .seg.nrrd, whole or not at all. Answer: None."""

    path: str
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


@dataclass(frozen=True)
class CheckArrays:
    """Check a case whose images and masks were handed over, without encoding it. Answer: tuple of Finding."""

    images: list[ImageFile]
    masks: list[MaskFile]


@dataclass(frozen=True)
class MendMasks:
    """Work out what a finding's fix would change. shape, ijk_to_ras: of the reference grid. Answer: tuple of Edit."""

    masks: list[MaskFile]
    shape: list
    ijk_to_ras: list
    code: str
    place: list | None = None


@dataclass(frozen=True)
class SplitMask:
    """Work out how the segments of `masks` fall into lesions. Answer: tuple of Edit."""

    masks: list[MaskFile]
    shape: list
    ijk_to_ras: list


Job = (
    WarmUp | OpenFiles | GradeFiles | ReadFiles | SaveSegments | GradeArrays | Regrade | WhatIf | Draw | CheckArrays
    | MendMasks | SplitMask
)  # fmt: skip
_KINDS = {kind.__name__: kind for kind in get_args(Job)}


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
    for name, part in (("images", ImageFile), ("masks", MaskFile), ("segments", SegmentFile)):
        if name in fields:
            fields[name] = [part(**entry) for entry in fields[name]]
    return kind(**fields)
