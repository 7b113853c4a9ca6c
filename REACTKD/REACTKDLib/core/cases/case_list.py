"""The list of cases of a reading session, and the locations of the session's own files."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.names import file_name_of
from REACTKDLib.core.cases.open_job import mask_roles
from REACTKDLib.core.cases.worklist import OWN_MARK, read_worklist
from REACTKDLib.core.modality import ROLES, SEGMENTATION_ROLE, Modality
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import tr as _

#: the table in the folder of results, a row for each case
RESULTS = "results.csv"


@dataclass(frozen=True)
class ListedCase:
    """One case of a list. problems: its problems that are known before reading, one sentence each."""

    job: Job
    problems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name that the list gives it; unique in the list."""
        return self.job.case

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The images that are listed."""
        return tuple(self.job.images)

    @property
    def has_masks(self) -> bool:
        """True when the list names a segmentation, or masks."""
        return self.job.segmentation is not None or self.job.mask_files is not None

    @property
    def file_name(self) -> str:
        """The id as a file name valid on every file system; different ids have different names."""
        return file_name_of(self.id)


@dataclass(frozen=True)
class CaseList:
    """The cases of a file or folder, in its order."""

    path: Path
    cases: tuple[ListedCase, ...]

    @property
    def review_file(self) -> Path:
        """The file of the review: beside a list file, or inside a folder."""
        return self._own("json")

    @property
    def study_file(self) -> Path:
        """The file of a reader study on this list."""
        return self._own("study.json")

    @property
    def masks_folder(self) -> Path:
        """The folder of corrected masks; the files of the list are never changed."""
        return self._own("masks")

    @property
    def results_folder(self) -> Path:
        """The folder for the results of a batch."""
        return self._own("results")

    def find(self, case_id: str) -> int | None:
        """Return the index of a case in the list, or None."""
        return next((n for n, case in enumerate(self.cases) if case.id == case_id), None)

    def _own(self, ending: str) -> Path:
        if self.path.is_dir():
            return self.path / f"review{OWN_MARK}.{ending}"
        return self.path.with_name(f"{self.path.name}{OWN_MARK}.{ending}")


def open_case_list(path: Path | str, task: Task = HCC_GRADE) -> CaseList:
    """Open a folder of case folders, a CSV worklist or a datalist: the same lists as `batch` and training.

    A case with missing files stays in the list, with its problems. task: of the model that will be used, which defines
    the names of masks. Raises: what `read_worklist` raises.
    """
    path = Path(path)
    jobs = read_worklist(path, task)
    return CaseList(path, tuple(ListedCase(job, _problems(job, task)) for job in jobs))


def with_masks(job: Job, masks: Path | None, liver: tuple[str, ...] = (), tumor: tuple[str, ...] = ()) -> Job:
    """Return the job with corrected masks in place of its own. liver, tumor: names of segments; empty: recognized."""
    if masks is None:
        return job
    return replace(job, segmentation=masks, mask_files=None, liver=liver or None, tumor=tumor or None)


def _problems(job: Job, task: Task) -> tuple[str, ...]:
    found = []
    if not job.images:
        found.append(_("No image is listed; a case needs a CT, an FDG PET or an acetate PET."))
    files = {ROLES[modality]: path for modality, path in job.images.items()}
    if job.mask_files is not None:
        files |= dict(zip(mask_roles(task), job.mask_files, strict=True))
    elif job.segmentation is not None:
        files[SEGMENTATION_ROLE] = job.segmentation
    else:
        text = _("No segmentation is listed; draw the {organ} and its {lesions}.")
        found.append(text.format(organ=task.organ.name, lesions=task.lesion.many))
    missing = [role for role, path in files.items() if not os.path.exists(path)]
    found += [_("The file of {role} is missing; correct the path.").format(role=role) for role in missing]
    return tuple(found)
