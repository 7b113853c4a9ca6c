"""By what a graded case is known again: its files, and how the list says that they are read."""

from __future__ import annotations

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.errors import ReactkdError
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.files.given_paths import check_path


def job_fingerprint(job: Job, *words: str) -> str:
    """Return a hash of all that the answer to a job depends on; '' where a file of it cannot be read.

    The files are read whole, wherever they lie and whatever they are called, so that no changed voxel is missed.

    words: what else it depends on, such as the description of the model.
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
