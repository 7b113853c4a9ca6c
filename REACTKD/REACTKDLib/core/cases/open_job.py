"""Reads the files of a job: for grading in a batch, and for displaying them as drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import case_of, no_segmentation, on_image, read_any_segmentation, read_volumes
from REACTKDLib.core.errors import MaskOffImage, NoVolume, ReactkdError
from REACTKDLib.core.files.given_paths import check_path
from REACTKDLib.core.files.label_values import mask_of
from REACTKDLib.core.files.recognition import Choice, Kind, choose
from REACTKDLib.core.files.segments import COLORS, Segment, Segmentation, terminology_entry
from REACTKDLib.core.files.volumes import RawImage, read_raw
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.geometry import bounding_box
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.regrid import has_no_geometry, laid_on_grid
from REACTKDLib.core.images.stated_places import same_place, settled_place
from REACTKDLib.core.images.volume import Volume
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import sentence
from REACTKDLib.core.text import tr as _

MOST_GROWTH = 4  # times the voxels of both masks: with more, most of a common grid is the gap between them
KINDS: tuple[Kind, Kind] = ("liver", "tumor")


@dataclass(frozen=True, eq=False)
class JobFiles:
    """The content of a job's files for display: nothing is cleaned, and no segment is left out.

    volumes: {Modality: Volume}. segmentation: None if it cannot be read; `problem` then says why. livers, tumors:
    indices of the chosen segments; if they cannot be chosen, they are empty and `problem` says why.
    """

    volumes: dict[Modality, Volume]
    segmentation: Segmentation | None
    livers: tuple[int, ...] = ()
    tumors: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()
    problem: str = ""


def open_job(
    job: Job, case_id: str | None = None, check: Callable[[], None] = lambda: None, task: Task = HCC_GRADE
) -> Case:
    """Read a job and check everything, like `open_case`, also for Raises.

    check: called before each file, and before the data are checked; it may raise to stop.
    """
    _need_images(job)
    if job.segmentation is None and job.mask_files is None:
        raise no_segmentation(task)
    volumes, findings = read_volumes(job.images, job.segmentation, check, job.different_patients_ok)
    check()
    segmentation = _segmentation_of(job, task)
    check()
    return case_of(volumes, segmentation, job.liver, job.tumor, case_id or job.case, findings, job.keep_specks, task)


def read_job(job: Job, check: Callable[[], None] = lambda: None, task: Task = HCC_GRADE) -> JobFiles:
    """Read a job for display; unusable masks are a `problem`, not an error, since they can be redrawn.

    check: called before each file; it may raise to stop.

    Raises: NoVolume, PatientMismatch, and what `read_volume` and `read_dicom_volume` raise for an image.
    """
    _need_images(job)
    volumes, findings = read_volumes(job.images, job.segmentation, check, job.different_patients_ok)
    check()
    if job.segmentation is None and job.mask_files is None:
        return JobFiles(
            volumes, None, findings=tuple(findings), problem=_("No segmentation is listed; draw the masks.")
        )
    try:
        file = on_image(_segmentation_of(job, task), next(volumes[m] for m in Modality if m in volumes))
    except ReactkdError as error:
        return JobFiles(volumes, None, findings=tuple(findings), problem=str(error))
    try:
        choice = choose([segment.candidate for segment in file.segments], job.liver, job.tumor, task)
    except ReactkdError as error:
        return JobFiles(volumes, file, findings=(*findings, *file.findings), problem=str(error))
    return JobFiles(volumes, _named(file, choice, task), choice.livers, choice.tumors, (*findings, *file.findings))


def _need_images(job: Job) -> None:
    if not job.images:
        raise NoVolume(_("The case has no image; give a CT, or a PET with masks drawn on it."))


def _segmentation_of(job: Job, task: Task) -> Segmentation:
    if job.mask_files is None:
        return read_any_segmentation(job.segmentation, task)
    roles = mask_roles(task)
    for path, role in zip(job.mask_files, roles, strict=True):
        check_path(path, role)
    return two_masks(*(read_raw(path, role) for path, role in zip(job.mask_files, roles, strict=True)), task)


def mask_roles(task: Task) -> tuple[str, str]:
    """Return the names of the masks in messages: "the liver mask", "the tumor mask"."""
    return tuple(_("the {structure} mask").format(structure=task.structure(kind).name) for kind in KINDS)


def two_masks(liver: RawImage, tumor: RawImage, task: Task = HCC_GRADE) -> Segmentation:
    """Return two images of labels, any integer above 0, as two segments on the grid of the first.

    liver, tumor: of the organ and the lesions of the task. The grid is extended if lesions are outside the organ's
    file, as when that is cropped to the organ. A file without geometry is placed on the other one if their shapes
    agree.

    Raises: NotASegmentation, see `files.label_values.mask_of`; MaskOffImage for masks that lie far apart.
    """
    roles = mask_roles(task)
    (first, of_first), (second, of_second) = (mask_of(raw.array, role) for raw, role in zip((liver, tumor), roles))
    (liver, tumor), lost = _with_geometry((liver, tumor), roles)
    grid, own = (Grid(raw.array.shape[:3], raw.ijk_to_ras) for raw in (liver, tumor))
    place, more = settled_place(own, tumor.other_places, grid, liver.other_places, roles[1])
    layers, whole = _on_one_grid(first, grid, second, Grid(own.shape, place), task)
    segments = tuple(_segment(kind, task, 1, layer) for layer, kind in enumerate(KINDS))
    findings = (*liver.findings, *of_first, *tumor.findings, *of_second, *lost, *more)
    start = np.linalg.inv(grid.ijk_to_ras) @ whole.ijk_to_ras
    return Segmentation(
        layers, whole.ijk_to_ras, segments, findings, tuple(other @ start for other in liver.other_places)
    )


def _with_geometry(files: tuple[RawImage, RawImage], roles: tuple[str, str]) -> tuple[tuple[RawImage, ...], list]:
    """Place a file without geometry on the other if their shapes agree; return both and the finding."""
    lost = [has_no_geometry(raw.ijk_to_ras) for raw in files]
    if lost[0] == lost[1] or files[0].array.shape[:3] != files[1].array.shape[:3]:
        return files, []
    bare = lost.index(True)
    text = _("{role} has no geometry but has the shape of {other}, so it was placed on it voxel by voxel.")
    finding = Finding(
        "segmentation-without-geometry", "warning", text, role=sentence(roles[bare]), other=roles[1 - bare]
    )
    other = files[1 - bare]
    placed = replace(files[bare], ijk_to_ras=other.ijk_to_ras, other_places=other.other_places)
    return ((placed, other) if bare == 0 else (other, placed)), [finding]


def _on_one_grid(liver: np.ndarray, grid: Grid, tumor: np.ndarray, own: Grid, task: Task) -> tuple[np.ndarray, Grid]:
    """Return two masks as layers, uint8 (2, D, H, W), on the lattice of the first, extended to contain both, and the
    grid.
    """
    if same_place(own, grid):
        return np.stack([liver, tumor]).astype(np.uint8), grid
    drawn = bounding_box(tumor)
    whole = grid if drawn is None else grid.grown([own.part(drawn)])
    if np.prod(whole.shape, dtype=float) > MOST_GROWTH * (liver.size + tumor.size):
        text = _(
            "The {organ} mask and the {lesion} mask lie far apart; check that both belong to the same patient and scan."
        )
        raise MaskOffImage(text, organ=task.organ.name, lesion=task.lesion.name)
    layers = np.zeros((2, *whole.shape), dtype=bool)
    for layer, mask, place in zip(layers, (liver, tumor), (grid, own), strict=True):
        laid_on_grid(mask, place.ijk_to_ras, whole, layer)
    return layers.view(np.uint8), whole


def _segment(kind: Kind, task: Task, label: int, layer: int, more: str = "") -> Segment:
    name = task.structure(kind).title + more
    return Segment(name, label, layer, COLORS[kind], terminology_entry(kind, task))


def _named(file: Segmentation, choice: Choice, task: Task) -> Segmentation:
    """Give unnamed segments ("label 1") the name and code of their assigned role."""
    segments = list(file.segments)
    for kind, indices in zip(KINDS, (choice.livers, choice.tumors)):
        for index in indices:
            old = segments[index]
            if old.terminology or old.name != f"label {old.label}":
                continue
            number = f" (label {old.label})" if len(indices) > 1 else ""  # a label may be a part, so not "Tumor 2"
            segments[index] = _segment(kind, task, old.label, old.layer, number)
    return replace(file, segments=tuple(segments))
