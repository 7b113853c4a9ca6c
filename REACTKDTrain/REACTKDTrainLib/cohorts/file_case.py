"""Cases of a cohort from the files of a job, opened in the same way as a reader's case."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.open_case import case_of, read_any_segmentation, read_volumes
from REACTKDLib.core.cases.open_job import open_job
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.findings import Finding
from REACTKDLib.core.images.case import Case
from REACTKDLib.core.images.grid import Grid
from REACTKDLib.core.images.stated_places import same_place
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDTrainLib.cohorts.base import CohortCase


def file_case(
    job: Job,
    patient: str,
    grade: int | None,
    provenance: str,
    *words: str,
    on_image: bool = False,
    task: Task = HCC_GRADE,
) -> CohortCase:
    """Return the case that `open_job`, or with `on_image` `open_on_image`, opens. grade: index into the classes of
    `task`.

    words: options that change what is read, for the fingerprint. Raises: OSError for files that cannot be read.
    """
    paths = (*job.images.values(), *(job.mask_files or (job.segmentation,)))
    return CohortCase(
        job.case,
        patient,
        grade,
        tuple(modality.value for modality in job.images),
        partial(open_on_image, job) if on_image else opener(job, task),
        fingerprint_of([file for path in paths for file in files_behind(path)], *words),
        provenance=provenance,
        classes=task.class_names,
        image_files=tuple(job.images.values()),
    )


def opener(job: Job, task: Task) -> partial[Case]:
    """Return the function that opens the files of a job: `CohortCase.load`."""
    return partial(open_job, job) if task == HCC_GRADE else partial(open_job, job, task=task)


def open_on_image(job: Job) -> Case:
    """As `open_job`, but a label file of the image's shape gets the image's geometry, whatever its header (LiTS 48-52).

    Raises: see `open_job`.
    """
    volumes, findings = read_volumes(job.images, job.segmentation)
    file, image = read_any_segmentation(job.segmentation), next(iter(volumes.values()))
    grid = Grid(image.shape, image.ijk_to_ras)
    if file.grid.shape == grid.shape and not same_place(file.grid, grid):
        text = "The mask has the image's shape but another geometry; it was laid on the image."
        findings = [*findings, Finding("mask-geometry-overruled", "warning", text)]
        file = replace(file, ijk_to_ras=image.ijk_to_ras, other_places=image.other_places)
    return case_of(volumes, file, job.liver, job.tumor, job.case, findings)
