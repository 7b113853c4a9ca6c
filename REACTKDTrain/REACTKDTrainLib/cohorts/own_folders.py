"""Survey of a user-defined folder: files by patterns, grades from a sheet; unclear cases are excluded and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.names import on_disk
from REACTKDLib.core.errors import UsageError
from REACTKDLib.core.modality import Modality
from REACTKDLib.core.progress import OnProgress, no_progress
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import plural, quoted
from REACTKDTrainLib.cohorts.base import CohortCase
from REACTKDTrainLib.cohorts.file_case import file_case
from REACTKDTrainLib.cohorts.file_patterns import FilePattern, find_files
from REACTKDTrainLib.cohorts.own_sheet import OwnSheet
from REACTKDTrainLib.cohorts.survey import Problem, Survey

KIND = "own folders"
_SHOWN = 3


def survey_own(
    folder: Path,
    patterns: Sequence[FilePattern],
    sheet: OwnSheet | None = None,
    task: Task = HCC_GRADE,
    on_progress: OnProgress = no_progress,
) -> Survey:
    """Find the cases of a folder by patterns of their files, with grades from a sheet.

    A case with two files for one image, without an image, without masks, or with different patients in path and sheet
    is excluded, with a message; files that match no pattern and rows without files are reported.

    Raises: UsageError if nothing matches, a file matches two patterns, or a path is ambiguous; see also
    `OwnSheet.rows`.
    """
    on_progress(0.0, "looking for files")
    found = find_files(folder, patterns)
    if not found.files:
        raise UsageError("No file fits the patterns; they are of paths below the folder, such as {case}/CT.nii.gz.")
    rows = {} if sheet is None else sheet.rows(found.files, task, patients_known=any(found.patients.values()))
    problems, cases = _of_the_whole(found.other, found.files, rows, sheet), []
    for number, (name, roles) in enumerate(found.files.items()):
        on_progress(number / len(found.files), name)
        fault = _fault(name, roles, found.patients[name])
        if fault is not None:
            problems.append(fault)
            continue
        grade, listed, kept = rows.get(name, (None, "", {}))
        of_path = next(iter(found.patients[name]), "")
        if listed and of_path and on_disk(listed) != on_disk(of_path):
            text = f"Its path is of the patient {quoted([of_path])} and its row of {quoted([listed])}; correct one."
            problems.append(Problem(name, "ambiguous", text))
            continue
        patient = listed or of_path or name
        files = {role: paths[0] for role, paths in roles.items()}
        cases.append(replace(_case(name, patient, grade, files, task), clinical=kept or None))
        if sheet is not None and name not in rows:
            problems.append(Problem(name, "not-in-sheet", "The sheet has no row of this case; it has no grade."))
    return Survey(KIND, tuple(cases), tuple(problems))


def _case(name: str, patient: str, grade: int | None, files: Mapping[str, Path], task: Task) -> CohortCase:
    images = {modality: files[modality.value] for modality in Modality if modality.value in files}
    masks = (files["liver"], files["tumor"]) if "segmentation" not in files else None
    job = Job(name, images, files.get("segmentation"), mask_files=masks)
    return file_case(job, patient, grade, KIND, name, *(m.value for m in images), task=task)


def _fault(name: str, roles: Mapping[str, Sequence[Path]], patients: set[str]) -> Problem | None:
    """Return the reason why a case cannot be listed, if any."""
    several = [f"{len(paths)} files for {role}" for role, paths in roles.items() if len(paths) > 1]
    if several:
        return Problem(name, "ambiguous", f"There are {' and '.join(several)}; make the pattern more exact.")
    if len(patients) > 1:
        return Problem(name, "ambiguous", f"Its files are of the patients {quoted(sorted(patients))}; correct that.")
    if not any(modality.value in roles for modality in Modality):
        return Problem(name, "no-image", "It has masks and no image.")
    if "segmentation" in roles and {"liver", "tumor"} & set(roles):
        return Problem(
            name, "ambiguous", "It has a segmentation, and masks of their own; give a pattern for one of them."
        )
    if "segmentation" not in roles and not {"liver", "tumor"} <= set(roles):
        return Problem(name, "no-segmentation", "It has no segmentation, nor masks of both the organ and its lesions.")
    return None


def _of_the_whole(
    other: Sequence[str], cases: Mapping[str, object], rows: Mapping[str, object], sheet: OwnSheet | None
) -> list[Problem]:
    found = []
    if other:
        more = ", ..." if len(other) > _SHOWN else ""
        text = f"{plural(len(other), 'file')} fit no pattern: {quoted(other[:_SHOWN])}{more}"
        found.append(Problem("", "not-matched", text))
    if sheet is not None and len(rows) != len(cases):
        text = f"The sheet has {plural(len(rows), 'row')} of the {plural(len(cases), 'case')} that were found."
        found.append(Problem("", "sheet", text))
    return found
