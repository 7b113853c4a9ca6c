"""A worklist, or a folder with a folder for each case, as training reads it: with grades and patients."""

from __future__ import annotations

from pathlib import Path

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.worklist import read_listed


def has_case_folders(path: Path) -> bool:
    """True when a folder in `path` is a case: it holds CT, FDG or ACETATE, as files or as folders of DICOM."""
    return any(entry.is_dir() for entry in path.iterdir()) and any(job.images for job, _ in listed_jobs(path))


def listed_jobs(path: Path) -> list[tuple[Job, dict[str, str]]]:
    """As the reading room's worklist, with the columns `grade` and `patient` beside its own."""
    return read_listed(path, extra=("grade", "patient"))
