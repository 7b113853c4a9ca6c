"""A fingerprint that identifies a graded case: its files, and how the list says they are read."""

from __future__ import annotations

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.files.given_paths import check_path


def job_fingerprint(job: Job, *words: str) -> str:
    """Return a hash of everything that the result of a job depends on; '' if one of its files cannot be read.

    The files are read completely, independent of their location and name, so that no changed voxel is missed.

    words: further dependencies, such as the description of the model.
    """
    given = [(modality.value, path) for modality, path in job.images.items()]
    masks = job.mask_files if job.mask_files is not None else (job.segmentation,)
    given += [("masks", path) for path in masks if path is not None]
    own = [job.case, repr(job.liver), repr(job.tumor), repr((job.different_patients_ok, job.keep_specks))]
    files = []
    try:
        for role, path in given:
            check_path(path, role)
            behind = files_behind(path, series=role != "masks")
            own.append(f"{role} {len(behind)}")
            files += behind
        return fingerprint_of(files, *own, *words, whole=True)
    except (OSError, ReactkdError):
        return ""
