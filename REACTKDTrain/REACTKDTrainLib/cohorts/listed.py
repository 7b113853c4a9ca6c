"""Cohorts from files: a datalist in MONAI's format, a worklist with grades, or a folder with a known layout."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from REACTKDLib.core.cases.datalist import jobs_of_cases, name_of, read_datalist
from REACTKDLib.core.cases.job import Job
from REACTKDLib.core.cases.worklist import has_case_folders, read_listed
from REACTKDLib.core.errors import ReactkdError, TaskMismatch, UsageError
from REACTKDLib.core.files.fingerprint import files_behind, fingerprint_of
from REACTKDLib.core.files.given_paths import check_path
from REACTKDLib.core.files.tables import read_table
from REACTKDLib.core.modality import MODALITIES
from REACTKDLib.core.task import HCC_GRADE, Task
from REACTKDLib.core.text import MOST_NAMED, quoted
from REACTKDTrainLib.cohorts.bad_cells import cases_with
from REACTKDTrainLib.cohorts.base import Cohort, CohortCase
from REACTKDTrainLib.cohorts.file_case import opener
from REACTKDTrainLib.cohorts.grade_words import OWN_WORDS, GradeWords
from REACTKDTrainLib.cohorts.layout import known_layouts, survey_folder
from REACTKDTrainLib.cohorts.patient_cells import check_known_patients, check_patient_column, patient_columns
from REACTKDTrainLib.cohorts.survey import Survey
from REACTKDTrainLib.content_store import content_key

GRADES_FILE = "grades.csv"
#: prefix of the fingerprint of a case with missing files
MISSING = "missing "
_USUAL_IMAGES = (("ct",), ("ct", "fdg"), MODALITIES)
_NO_FILES_IN_WORKLIST = "Case {case} has no image or no segmentation; complete it, or take it out."
_NO_FILES_IN_FOLDER = (
    "Case {case} has no image (CT, FDG or ACETATE) or nothing called segmentation; complete it, take it out, or list "
    "files of other names with 'reactkd-train cohorts open'."
)
_NO_FILES_IN_DATALIST = (
    "Case {case} of the datalist needs an image (ct, fdg or acetate) and a segmentation, or masks of organ and lesions."
)


def listed_cohort(path: Path, task: Task = HCC_GRADE, words: GradeWords = OWN_WORDS) -> Cohort:
    """Open a datalist (.json), a worklist (.csv, .xlsx) or a folder. task: defines the classes. words: the meaning of
    the list's grades, if they are not the class names.

    Folder: the published hospital layout or its public CT, LiTS17 or MSD Task03, HCC-TACE-Seg (DICOM), or a folder of
    case folders, with grades in `grades.csv` (columns case, grade and, if patients have several cases, patient).
    Raises: UsageError, and the errors of the readers.
    """
    path = Path(path)
    words.checked(task)
    if path.suffix.lower() == ".json":
        return datalist_cohort(path, task, words)
    if path.is_dir():
        survey = survey_folder(path)
        if survey is not None:
            if task != HCC_GRADE:
                raise TaskMismatch(
                    f"The folder is in the layout '{survey.kind}', whose cases are of the task {HCC_GRADE.name}, not "
                    f"of {task.name}; give a datalist, a worklist or a folder of case folders."
                )
            return of_survey(survey)
        _check_case_folders(path)
        return _worklist_cohort(path, _rows_by_case(path / GRADES_FILE, task, words), task, words)
    return _worklist_cohort(path, task=task, words=words)


def of_survey(survey: Survey) -> Cohort:
    """Return the cohort of a survey, with the data of the clinical sheet; excluded cases are kept as skipped."""
    cases = tuple(replace(case, clinical=survey.clinical.get(case.patient)) for case in survey.cases)
    return Cohort(survey.kind, cases, skipped=survey.skipped)


def reference_grades(path: Path, words: GradeWords = OWN_WORDS, task: Task = HCC_GRADE) -> dict[str, tuple[int, str]]:
    """Return {case: (index of its grade, patient)} of a list of cases, without the cases that have no grade.

    path: a CSV with the columns case and grade (a worklist, or a table of grades alone), a datalist (.json), or a
    folder with `grades.csv`. words: the meaning of the grades, if they are not the class names; task: defines the
    classes. A case without a patient counts as a separate patient. Raises: UsageError, also for
    a list that contradicts itself about a case, or names several cases' patient with a text such as NA.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        datalist, entries = read_datalist(path, task=task)
        words, rows = words.with_list(datalist.get("grades")), [(entry["id"], entry) for entry in entries]
    else:
        rows = list(_rows_by_case(path / GRADES_FILE if path.is_dir() else path, task, words).items())
    check_patient_column([row for _name, row in rows])
    words.check_grades(((name, row.get("grade")) for name, row in rows), task)
    said: dict[str, tuple[int | None, str]] = {}
    twice = {}
    for name, row in rows:
        case = _composed(name)
        own = (words.grade(row.get("grade"), name, task), name_of(row, "patient", case))
        if said.setdefault(case, own) != own:
            twice[case] = None
    if twice:
        raise UsageError(f"The list says two things of {quoted(twice, MOST_NAMED)}; correct it.")
    found = {case: (grade, patient) for case, (grade, patient) in said.items() if grade is not None}
    if not found:
        raise UsageError("The list holds no grade to compare with; give a CSV with the columns case and grade.")
    check_known_patients((case, patient) for case, (_grade, patient) in found.items())
    return found


# -- datalists


def datalist_cohort(path: Path, task: Task = HCC_GRADE, words: GradeWords = OWN_WORDS) -> Cohort:
    """{"training": [{"id", "patient", "ct", "fdg", "acetate", "segmentation" or "liver" and "tumor", "grade", "fold",
    "clinical"}]}, or MONAI's own keys "image" and "label" (see `core.cases.datalist`).

    Paths are relative to the file. An object "grades" defines the meaning of the list's grades: {"G1": "well"}.
    Raises: UsageError, FileMissing.
    """
    path = Path(path)
    datalist, entries = read_datalist(path, ("training",), task)
    words = words.with_list(datalist.get("grades")).checked(task)
    jobs = jobs_of_cases(entries, path.parent)
    _check_files(jobs, _NO_FILES_IN_DATALIST)
    cases = _cases(list(zip(jobs, entries, strict=True)), task, words)
    return Cohort(
        str(datalist.get("name") or path.stem), cases, description=str(datalist.get("description", "")), task=task
    )


# -- worklists and folders of case folders


def _worklist_cohort(
    path: Path,
    grades: Mapping[str, Mapping[str, str]] | None = None,
    task: Task = HCC_GRADE,
    words: GradeWords = OWN_WORDS,
) -> Cohort:
    """grades: rows of grades.csv by case name; None if each case's own row contains grade and patient."""
    listed = read_listed(path, task)
    if grades is not None:
        unknown = sorted(set(grades) - {_composed(job.case) for job, _ in listed})
        if unknown:
            raise UsageError(
                f"The file {GRADES_FILE} names {quoted(unknown)}, for which there is no case; write each as its folder."
            )
        listed = [(job, grades.get(_composed(job.case), {})) for job, _ in listed]
    _check_files([job for job, _ in listed], _NO_FILES_IN_WORKLIST if grades is None else _NO_FILES_IN_FOLDER)
    cases = _cases(listed, task, words)
    return Cohort(path.stem if path.is_file() else path.name, cases, task=task)


def _check_case_folders(path: Path) -> None:
    """Raise UsageError if no folder in `path` is a case: the layout is then a different one, not a case defective."""
    if not has_case_folders(path):
        holds = "nor ".join(f"{layout.holds}, " for layout in known_layouts())
        raise UsageError(
            f"The folder is no cohort that is known: it holds neither {holds}nor a folder for each case with CT.nii.gz "
            "and segmentation.seg.nrrd; give the folder above or below, or a datalist (.json)."
        )


def _rows_by_case(path: Path, task: Task = HCC_GRADE, words: GradeWords = OWN_WORDS) -> dict[str, dict[str, str]]:
    """Return case -> its row of a table of grades; empty if the file does not exist.

    Raises: UsageError for a file without the columns, or with contradictory rows of a case.
    """
    if not path.is_file():
        return {}
    table = read_table(path, f"the file {path.name}", ("case", "grade"))
    if not table.columns:
        raise UsageError(f"The file {path.name} is empty; give it the columns case and grade, or take it away.")
    other = [] if "patient" in table.columns else patient_columns(table.columns)
    if other:
        raise UsageError(
            f"The file {path.name} has the column {quoted(other)}, which is not read; call that of the patients "
            "'patient'."
        )
    if not all(row["case"] for row in table.rows):
        raise UsageError(f"The file {path.name} has a row without the name of a case; correct it.")
    words.check_grades(((row["case"], row["grade"]) for row in table.rows), task)
    rows: dict[str, dict[str, str]] = {}
    twice = {}
    for row in table.rows:
        name = _composed(row["case"])
        pair = rows.setdefault(name, row), row
        one, other = ((words.grade(r["grade"], name, task), r.get("patient")) for r in pair)
        if one != other:
            twice[name] = None
    if twice:
        raise UsageError(f"The file {path.name} says two things of {quoted(twice, MOST_NAMED)}; correct it.")
    return rows


def _composed(name: str) -> str:
    """Normalize accents to one character each, since file systems and spreadsheets differ in this."""
    return unicodedata.normalize("NFC", name)


def _check_files(jobs: Sequence[Job], text: str) -> None:
    """Raise UsageError with `text` for the first case without an image or masks, and the names of all others."""
    lacking = [job.case for job in jobs if not job.images or (job.segmentation is None and job.mask_files is None)]
    if lacking:
        others = f" The same holds for {quoted(lacking[1:])}." if lacking[1:] else ""
        raise UsageError(text.format(case=quoted(lacking[:1])) + others)


def _cases(listed: Sequence[tuple[Job, Mapping[str, Any]]], task: Task, words: GradeWords) -> tuple[CohortCase, ...]:
    """Return the cases. listed: each job with its row or entry. Raises: UsageError that names all bad cells."""
    check_patient_column([labels for _job, labels in listed])
    words.check_grades(((job.case, labels.get("grade")) for job, labels in listed), task)
    wrong = [(job.case, value) for job, labels in listed if not _is_fold(value := labels.get("fold"))]
    if wrong:
        raise UsageError(f"{cases_with('fold', wrong)}; give whole numbers from 0.")
    cases = tuple(_case(job, labels, task, words) for job, labels in listed)
    check_known_patients((case.id, case.patient) for case in cases)
    return cases


def _case(job: Job, labels: Mapping[str, Any], task: Task, words: GradeWords) -> CohortCase:
    """labels: from the same row or entry: 'grade', 'patient', 'fold' and 'clinical', all optional."""
    name, images = job.case, {m.value: path for m, path in job.images.items()}
    clinical = labels.get("clinical")
    if clinical is not None and not isinstance(clinical, dict):
        raise UsageError(
            f"Case {quoted([name])} of the datalist has clinical data that are no object; give names and values."
        )
    fingerprint = _fingerprint(job, task)
    return CohortCase(
        name,
        name_of(labels, "patient", name),
        words.grade(labels.get("grade"), name, task),
        tuple(images),
        opener(job, task),
        fingerprint,
        _fold_of(labels.get("fold")),
        clinical=clinical,
        classes=task.class_names,
        image_files=() if fingerprint.startswith(MISSING) else tuple(job.images.values()),
    )


def _is_fold(value: Any) -> bool:
    """Return True for nothing, and for a whole number from 0, given as a number or a table cell."""
    if isinstance(value, str):
        return not value or value.strip().isdecimal()
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _fold_of(value: Any) -> int | None:
    return None if value is None or value == "" else int(value)


def _fingerprint(job: Job, task: Task) -> str:
    """Hash of the files, and of the list's options that change what is read.

    The usual options (CT, CT with FDG, or all images; recognized segments) add nothing to the hash, as in earlier
    releases, so that cases prepared by those are still used.
    """
    name = job.case if task == HCC_GRADE else f"{job.case} {content_key(task.to_dict())}"
    paths = (*job.images.values(), *(job.mask_files or (job.segmentation,)))
    if not all(map(_can_be_read, paths)):
        return MISSING + name  # opening the case will raise an error, so that it can be skipped
    images = tuple(m.value for m in job.images)
    words = [] if images in _USUAL_IMAGES else ["images", *images]
    words += [f"{key} {names}" for key, names in (("liver", job.liver), ("tumor", job.tumor)) if names]
    return fingerprint_of([file for path in paths for file in files_behind(path)], name, *words)


def _can_be_read(path: Path) -> bool:
    """Return True for a file, and for a folder that may be that of a series."""
    try:
        check_path(path, "an image")
    except ReactkdError:
        return False
    return path.exists()
